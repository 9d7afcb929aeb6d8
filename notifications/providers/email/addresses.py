"""Mailboxes as they stand in headers and in the SMTP envelope."""

import re
from binascii import b2a_base64
from dataclasses import dataclass

import idna

# RFC 5321 §4.5.3.1, in octets
MAX_LOCAL, MAX_ADDRESS = 64, 254
# RFC 5322 dot-atom, and RFC 6531's non-ASCII; quoted local parts are refused, no one has them and parsers differ.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\ud7ff\ue000-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_NAMED = re.compile(r"\s*(?P<name>.*?)\s*<(?P<address>[^<>\s]+)>\s*", re.DOTALL)
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\- ]+")
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_ENCODED_OCTETS = 42  # of text in one encoded word: 56 in base64 and 12 around it, below the 75 of RFC 2047 §2


class BadAddressError(ValueError):
    """Not a mailbox; the message never quotes it."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`address` has its domain in ASCII (punycode); its local part may need SMTPUTF8."""

    address: str
    name: str | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def needs_smtputf8(self) -> bool:
        return not self.address.isascii()

    def header(self) -> str:
        """`Name <address>` for a header field, possibly over several lines."""
        return f"{_phrase(self.name)}\r\n <{self.address}>" if self.name else self.address


def mailbox(text: str, name: str | None = None) -> Mailbox:
    """Read an address, bare or as `Name <address>`; `name` is used where the text has none.

    Raises:
        BadAddressError: it cannot be written as one without changing its meaning.

    """
    found = _NAMED.fullmatch(text)
    address = found["address"] if found else text
    shown = (found["name"].strip('"') if found else "") or name or ""
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local.encode()) > MAX_LOCAL:
        raise BadAddressError("not an e-mail address")
    checked = Mailbox(f"{local}@{_ascii_domain(domain)}", one_line(shown)[:200] or None)
    if len(checked.address.encode()) > MAX_ADDRESS:
        raise BadAddressError("the e-mail address is too long")
    return checked


def one_line(text: str) -> str:
    """Control characters, line and paragraph separators become one space: a header field has one line."""
    return _BLANKS.sub(" ", text).strip()


def unstructured(field: str, text: str) -> str:
    """The field's value, encoded (RFC 2047) unless it is short and plain; `text` is made one line first."""
    line = one_line(text)
    fits = len(field) + 2 + len(line) <= 78  # noqa: PLR2004 - RFC 5322 §2.1.1
    return line if fits and line.isascii() and "=?" not in line else encoded_words(line)


def encoded_words(text: str) -> str:
    """RFC 2047 words in base64, one a line, cut between characters."""
    words, part = [], b""
    if len(whole := text.encode("utf-8", "replace")) <= _ENCODED_OCTETS:
        return _encoded_word(whole)
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(part) + len(octets) > _ENCODED_OCTETS:
            words.append(part)
            part = b""
        part += octets
    words.append(part)
    return "\r\n ".join(map(_encoded_word, words))


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{b2a_base64(octets, newline=False).decode()}?="


def _ascii_domain(domain: str) -> str:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except UnicodeError:  # idna's own errors are among them
            domain = ""
    if not _DOMAIN.fullmatch(domain):
        raise BadAddressError("not an e-mail address: its domain is wrong")
    return domain


def _phrase(name: str) -> str:
    if not name.isascii() or "=?" in name or len(name) > 60:  # noqa: PLR2004 - keeps the line below 78
        return encoded_words(name)
    if _PLAIN_WORDS.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
