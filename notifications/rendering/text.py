"""Clean what templates produced for the place it goes to."""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_PARAMETER_GAPS = re.compile(r"[\n\t]+| {4,}")
# Most of a mail is no link. To go from `=` to `=` and look back takes a fifth of the time of looking for names: each is
# tried at every letter with which it begins. And no mail has to be put into lower case for it.
_LINK = re.compile(
    r"""=(?:(?<=href=)|(?<=src=)|(?<=action=)|(?<=background=))\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*))""", re.IGNORECASE
)
_HAS_GAP, _GAP = re.compile(r"=(?<=\s=)"), re.compile(r"\s+=")  # spaces between a name and its `=`, which are rare
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_INVISIBLE = re.compile(r"[\x00-\x20\x7f]")  # browsers ignore these in front of and inside a scheme
_EMAIL_SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms", "cid"})
_SCRIPT_SCHEMES = frozenset({"javascript", "vbscript", "data", "file", "blob"})


def one_line(text: str) -> str:
    """For a subject or a title: no line end, no control character."""
    return _CONTROL.sub("", _SPACES.sub(" ", text)).strip()


def paragraphs(text: str) -> str:
    """For a plain text: line feeds, no other control characters, at most one blank line in a row."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK_LINES.sub("\n\n", _CONTROL.sub("", unix)).strip()


def whatsapp_parameter(text: str) -> str:
    """Meta refuses line ends, tabs and four spaces in a row in a parameter (code 132012)."""
    return _CONTROL.sub("", _PARAMETER_GAPS.sub(" ", text.replace("\r", "\n"))).strip()


def has_unsafe_link(html: str) -> bool:
    """Whether an attribute of the e-mail holds a URL that is not http, https, mailto, tel, sms or cid."""
    if _HAS_GAP.search(html):
        html = _GAP.sub("=", html)
    return any(
        (scheme := url_scheme(match[1] or match[2] or match[3] or "")) is not None and scheme not in _EMAIL_SCHEMES
        for match in _LINK.finditer(html)
    )


def is_script(url: str) -> bool:
    """Whether opening the URL would run or read something on the device; an app's own scheme is fine."""
    return url_scheme(url) in _SCRIPT_SCHEMES


def url_scheme(url: str) -> str | None:
    found = _SCHEME.match(_INVISIBLE.sub("", url))
    return found[1].lower() if found else None
