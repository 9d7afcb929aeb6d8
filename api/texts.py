"""Text that Postgres can keep and compare: bounded, without NUL and unpaired surrogates."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text cannot hold the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text cannot hold unpaired surrogates") from None
    return text


Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
