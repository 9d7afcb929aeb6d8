"""Mistakes in the settings, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def settings_mistakes(error: "ValidationError") -> str:
    """Each wrong variable with what it takes; never its value, which may be a secret."""
    found = []
    for mistake in error.errors(include_input=False, include_url=False):
        variable = "TIDINGS_" + "__".join(str(part).upper() for part in mistake["loc"])
        found.append(f"{variable}: {mistake['msg'].removeprefix('Value error, ')}")
    return "; ".join(found)
