"""A mail as a person would read it, from its bytes."""

from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from typing import Any

from devstack.sandbox.inbox import Content
from devstack.sandbox.slots import Slots, read_slots

_headers = BytesHeaderParser(policy=policy.compat32)
_SHOWN_HEADERS = ("Subject", "From", "To", "Reply-To", "Message-ID")


def read_headers(raw: bytes) -> Message:
    """The header block alone, undecoded: cheap enough for every mail."""
    return _headers.parsebytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def mail_slots(headers: Message) -> Slots:
    """The key is the local part of the Message-ID; a correlation may be in any `X-` header."""
    local_part = str(headers.get("Message-ID", "")).strip().strip("<>").rpartition("@")[0]
    extensions = [str(value) for name, value in headers.items() if name.lower().startswith("x-")]
    found = read_slots(local_part or None, *extensions)
    return Slots(found.key if local_part else None, found.correlation)


def read_mail(raw: bytes) -> Content:
    """The parts of a mail; one that the parser of the standard library stumbles over is shown as it came."""
    try:
        return _read_parts(BytesParser(policy=policy.default).parsebytes(raw))
    except (LookupError, ValueError, AttributeError, TypeError):  # broken headers raise any of these
        headers = read_headers(raw)
        text = raw.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
        return mail_content({name: str(headers.get(name, "")) for name in _SHOWN_HEADERS}, text=text)


def _read_parts(mail: EmailMessage) -> Content:
    return mail_content(
        {name: str(mail[name]) for name in _SHOWN_HEADERS if mail[name] is not None},
        text=_part(mail, "plain"),
        html=_part(mail, "html"),
        attachments=[_attachment(part) for part in mail.iter_attachments()],
        all_headers=[[name, str(value)] for name, value in mail.items()],
    )


def mail_content(
    headers: dict[str, str],
    *,
    text: str | None,
    html: str | None = None,
    attachments: list[dict[str, Any]] | None = None,
    all_headers: list[list[str]] | None = None,
) -> Content:
    """The form in which the inbox keeps a mail; `headers` by name."""
    shown = {name.lower().replace("-", "_"): headers.get(name) for name in _SHOWN_HEADERS}
    listed = all_headers if all_headers is not None else [[name, value] for name, value in headers.items()]
    return {**shown, "text": text, "html": html, "attachments": attachments or [], "headers": listed}


def _part(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except LookupError:  # a charset or type that nobody knows
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else None


def _attachment(part: Message) -> dict[str, Any]:
    payload = part.get_payload(decode=True)
    return {
        "filename": part.get_filename(),
        "content_type": part.get_content_type(),
        "size": len(payload) if isinstance(payload, bytes) else None,
    }
