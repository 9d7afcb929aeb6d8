"""The provider accounts: what state each is in, pause and resume."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path

from api.context import Context, Session
from api.problems import INVALID, NOT_FOUND, ProblemError, problem_responses
from api.schemas.providers import PauseRequest, ProviderList, ProviderView, ResumeRequest
from api.texts import Text
from notifications.provider_accounts import Account, ProviderAccounts, UnknownProviderError

router = APIRouter(prefix="/providers", tags=["providers"])

Name = Annotated[Text, Path(description="As in the settings: smtp, fcm, twilio, meta.")]


@router.get("", summary="List provider accounts")
async def list_providers(context: Context, session: Session) -> ProviderList:
    return _answer(await ProviderAccounts(session, context.settings).all())


@router.post(
    "/{name}/pause",
    summary="Pause a provider",
    description="No call begins after the answer; its messages wait. Repeating it changes nothing but the reason.",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def pause_provider(
    context: Context, session: Session, name: Name, wanted: PauseRequest | None = None
) -> ProviderList:
    asked = wanted or PauseRequest()
    accounts = ProviderAccounts(session, context.settings)
    with _known():
        return _answer(await accounts.pause(name, channel=asked.channel, paused_by="api", reason=asked.reason))


@router.post(
    "/{name}/resume",
    summary="Resume a provider",
    description="Its waiting messages go on within 5 minutes.",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def resume_provider(
    context: Context, session: Session, name: Name, wanted: ResumeRequest | None = None
) -> ProviderList:
    asked = wanted or ResumeRequest()
    accounts = ProviderAccounts(session, context.settings)
    with _known():
        return _answer(await accounts.resume(name, channel=asked.channel))


@contextmanager
def _known() -> Iterator[None]:
    """A provider that nobody set up is not found."""
    try:
        yield
    except UnknownProviderError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None


def _answer(accounts: Iterable[Account]) -> ProviderList:
    return ProviderList(items=[ProviderView.of(account) for account in accounts])
