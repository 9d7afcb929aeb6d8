"""HTML forms as browsers and mail servers send them, read without a library: names and short texts only."""

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

MAX_FIELDS = 2_000


class FormError(ValueError):
    """What came is no form, or not the one that was asked for."""


def read_form(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields in their order, from `application/x-www-form-urlencoded` or `multipart/form-data`.

    Raises:
        FormError: it is neither, cannot be read, or has too many fields.

    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        if kind == "multipart/form-data":
            return _parts(content_type, body)
    except ValueError as error:
        raise FormError from error
    raise FormError


def _parts(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """RFC 7578; a file is taken as its text."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    parts = message.get_payload()
    if not isinstance(parts, list) or len(parts) > MAX_FIELDS:
        raise FormError
    return [(_name(part), _text(part)) for part in parts if isinstance(part, Message)]


def _name(part: Message) -> str:
    return str(part.get_param("name", "", header="content-disposition"))


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode() if isinstance(payload, bytes) else ""
