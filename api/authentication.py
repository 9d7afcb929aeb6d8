"""Who may call: a bearer token guards everything under /v1, before the body is read; the console has sign-ins."""

import hmac
import re
from ipaddress import ip_address
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import FORBIDDEN_HOST, UNAUTHORIZED, problem_response

PROTECTED = "/v1"
CONSOLE = re.compile(r"/(campaigns|sign-in|sign-out)(/.*)?")  # has sign-ins of its own (api/console/)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

_scheme = HTTPBearer(auto_error=False, description="The value of TIDINGS_API_TOKEN.")


def _documented(_credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)]) -> None:
    """Tells OpenAPI about the token; the middleware has already checked it."""


DocumentedToken = Security(_documented)


def usable_token(token: SecretStr | None) -> SecretStr | None:
    """A blank one is none: an empty header would match it."""
    return token if token is not None and token.get_secret_value().strip() else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address that is listened on."""
    try:
        return host in LOOPBACK_NAMES or ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "")
    return host.split("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]


class BearerToken:
    """Without a token (loopback only) the Host must be a local name, so that no web page can reach in by DNS."""

    def __init__(self, app: ASGIApp, token: SecretStr | None) -> None:
        self._app = app
        self._token = token.get_secret_value().strip().encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._guards(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token is None and _host_name(headers) not in LOOPBACK_NAMES:
            await problem_response(FORBIDDEN_HOST, "only local names are served")(scope, receive, send)
        elif (
            self._token is not None
            and not CONSOLE.fullmatch(scope["path"])
            and not self._is_right(headers.get("authorization", ""), self._token)
        ):
            response = problem_response(
                UNAUTHORIZED, "the bearer token is missing or wrong", headers={"WWW-Authenticate": "Bearer"}
            )
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    @staticmethod
    def _guards(path: str) -> bool:
        return path == PROTECTED or path.startswith(PROTECTED + "/") or CONSOLE.fullmatch(path) is not None

    @staticmethod
    def _is_right(header: str, token: bytes) -> bool:
        scheme, _, given = header.partition(" ")
        return hmac.compare_digest(given.strip().encode("latin-1"), token) and scheme.lower() == "bearer"
