"""A mail as a person would read it, from its bytes."""

from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from typing import Any

from devstack.sandbox.inbox import Content
from devstack.sandbox.slots import Slots, read_slots

_headers = BytesHeaderParser(policy=policy.compat32)


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
    mail = BytesParser(policy=policy.default).parsebytes(raw)
    if not isinstance(mail, EmailMessage):
        return {"subject": None, "text": raw.decode("utf-8", "replace"), "html": None}
    return {
        "subject": _header(mail, "Subject"),
        "from": _header(mail, "From"),
        "to": _header(mail, "To"),
        "reply_to": _header(mail, "Reply-To"),
        "message_id": _header(mail, "Message-ID"),
        "text": _part(mail, "plain"),
        "html": _part(mail, "html"),
        "attachments": [_attachment(part) for part in mail.iter_attachments()],
        "headers": [[name, str(value)] for name, value in mail.items()],
        "size": len(raw),
    }


def _header(mail: EmailMessage, name: str) -> str | None:
    value = mail.get(name)
    return str(value) if value is not None else None


def _part(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, KeyError):  # a charset or type that nobody knows
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else None


def _attachment(part: Message) -> dict[str, Any]:
    payload = part.get_payload(decode=True)
    return {
        "filename": part.get_filename(),
        "content_type": part.get_content_type(),
        "size": len(payload) if isinstance(payload, bytes) else None,
    }
