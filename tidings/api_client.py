"""The HTTP API as commands use it: its answers, and its refusals in words."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from api.authentication import is_loopback, usable_token
from notifications.settings import Settings
from tidings.surroundings import CommandError

# A moment later it may be otherwise: a server restarts.
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 502, 503, 504})
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class PassingError(Exception):
    """Try again; says why."""


class RefusedError(CommandError):
    """The state does not allow it: `detail` says why, and `state` names it where the answer does."""

    def __init__(self, text: str, detail: str, state: str | None) -> None:
        super().__init__(text)
        self.detail = detail
        self.state = state


def open_api(settings: Settings) -> httpx.AsyncClient:
    """The API at TIDINGS_PUBLIC_URL, with the token of this environment; a proxy is not for this machine itself."""
    token = usable_token(settings.api_token)
    headers = {"Authorization": f"Bearer {token.get_secret_value().strip()}"} if token is not None else {}
    here = is_loopback(urlsplit(settings.public_url).hostname or "")
    return httpx.AsyncClient(base_url=settings.public_url, headers=headers, timeout=_TIMEOUT, trust_env=not here)


async def ask(
    http: httpx.AsyncClient, method: str, path: str, *, passing: frozenset[int] = PASSING, **request: Any
) -> Any:
    """The JSON of an answer that is a success; `passing` are the statuses that another try may mend.

    Raises:
        PassingError: the API does not answer, or not now.
        CommandError: it refuses; says what to do.

    """
    try:
        response = await http.request(method, path, **request)
    except httpx.TransportError as error:
        raise PassingError(f"the API at {http.base_url} does not answer ({type(error).__name__})") from error
    if not response.is_success:
        raise refusal(response, passing=passing)
    try:
        return response.json()
    except ValueError:
        raise CommandError(_foreign(response)) from None


def refusal(response: httpx.Response, *, passing: frozenset[int] = PASSING) -> Exception:
    """What an answer that is no success means for who asked."""
    try:
        problem = response.json()
        text = str(problem["detail"])
        if response.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:  # there the detail says all
            text += f". {problem['remedy']}"
        if response.status_code == HTTPStatus.CONFLICT and response.status_code not in passing:
            return RefusedError(text, str(problem["detail"]), problem.get("state"))
    except (ValueError, KeyError, TypeError):
        text = _foreign(response)
    return PassingError(text) if response.status_code in passing else CommandError(text)


def _foreign(response: httpx.Response) -> str:
    return f"the API answered {response.status_code}: is {response.url.copy_with(query=None)} Tidings?"
