"""Campaigns over the API, through its restarts: commands carry a key, so that asking again changes nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from api.schemas.campaign_account import CampaignMessageAnswer
from api.schemas.campaigns import CampaignAnswer, CommandLog, DryRunAnswer
from notifications.statuses import CampaignState, MessageStatus
from tidings.api_client import PassingError, RefusedError, ask, refusal
from tidings.surroundings import CommandError

POLL = 1.0  # seconds; the API counts at most once in that time
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_PATIENCE = 30.0  # seconds that a command goes on trying; watching goes on for ever
_HINTS: dict[str, str] = {
    CampaignState.DRAFT: "launch it first: python -m tidings campaign launch {id}",
    CampaignState.SCHEDULED: "it waits for its start: `reschedule` moves it, `cancel` calls it off",
    CampaignState.PREPARING: "it starts within moments or at its time: see python -m tidings campaign watch {id}",
    CampaignState.RUNNING: "it is under way: `pause` it or `cancel` it",
    CampaignState.PAUSED: "go on with it: python -m tidings campaign resume {id}",
    CampaignState.COMPLETED: "it has ended: see python -m tidings campaign report {id}",
    CampaignState.CANCELLED: "it was called off: write another one",
    CampaignState.FAILED: "see why: python -m tidings campaign report {id}",
}
_MESSAGE_HINTS: dict[str, str] = {
    MessageStatus.PENDING: "it waits to be sent: see python -m tidings campaign messages {id}",
    MessageStatus.SENDING: "its call is under way: see python -m tidings campaign messages {id}",
    MessageStatus.UNKNOWN: "`settle` says what is known to have become of it",
    MessageStatus.FAILED: "send what failed once more: python -m tidings campaign retry-failed {id}",
}

Told = Callable[[str], None]
Seen = Callable[[CampaignAnswer], None]


class Campaigning:
    """`waiting` hears why nothing moves for the moment."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        waiting: Told,
        *,
        by: str = "command line",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._waiting = waiting
        self._by = by
        self._sleep = sleep
        self._clock = clock

    async def create(self, body: Any, *, key: str | None = None) -> CampaignAnswer:
        return CampaignAnswer.model_validate(await self._command("POST", "/v1/campaigns", body, key=key))

    async def command(self, campaign: str, name: str, body: Any = None) -> CampaignAnswer:
        """`launch`, `pause`, ... ; `rate` is put.

        Raises:
            CommandError: the API refuses it, or did not answer for half a minute.

        """
        method = "PUT" if name == "rate" else "POST"
        path = f"/v1/campaigns/{campaign}/{name}"
        return CampaignAnswer.model_validate(await self._command(method, path, body, campaign=campaign))

    async def list(self, state: CampaignState | None) -> dict[str, Any]:
        """The newest 50."""
        params = {"state": state.value} if state is not None else {}
        found: dict[str, Any] = await self._patiently(lambda: self._ask("GET", "/v1/campaigns", params=params))
        return found

    async def dry_run(self, campaign: str) -> DryRunAnswer:
        path = f"/v1/campaigns/{campaign}/dry-run"
        return DryRunAnswer.model_validate(await self._patiently(lambda: self._ask("POST", path)))

    async def look(self, campaign: str) -> CampaignAnswer:
        return CampaignAnswer.model_validate(
            await self._patiently(lambda: self._ask("GET", f"/v1/campaigns/{campaign}"))
        )

    async def log(self, campaign: str) -> CommandLog:
        path = f"/v1/campaigns/{campaign}/commands"
        return CommandLog.model_validate(await self._patiently(lambda: self._ask("GET", path)))

    async def messages(self, campaign: str, status: MessageStatus | None) -> dict[str, Any]:
        """The first 50."""
        path, params = f"/v1/campaigns/{campaign}/messages", {} if status is None else {"status": status.value}
        found: dict[str, Any] = await self._patiently(lambda: self._ask("GET", path, params=params))
        return found

    async def retry_message(self, campaign: str, seq: int) -> CampaignMessageAnswer:
        """Send an unknown one once more, however often it is asked for; a second copy is accepted.

        Raises:
            CommandError: the API refuses it, or did not answer for half a minute.

        """
        return await self._message_command(campaign, f"{seq}/retry", {"accept_duplicate": True})

    async def settle(self, campaign: str, seq: int, status: MessageStatus) -> CampaignMessageAnswer:
        """Say what became of an unknown one.

        Raises:
            CommandError: the API refuses it, or did not answer for half a minute.

        """
        return await self._message_command(campaign, f"{seq}/settle", {"status": status.value})

    async def watch(self, campaign: str, seen: Seen) -> CampaignAnswer:
        """Until nothing more is sent and no call is under way, however often the API goes away meanwhile.

        Each look has the whole account, so that nothing is missed by one that was not answered.
        """
        path = f"/v1/campaigns/{campaign}"
        while True:
            found = await self._patiently(lambda: self._ask("GET", path), patience=None)
            answer = CampaignAnswer.model_validate(found)
            seen(answer)
            if answer.campaign.state.is_final and (answer.account is None or not answer.account.in_flight):
                return answer
            await self._sleep(POLL)

    async def save(self, campaign: str, to: Path, status: str | None) -> None:
        """Its messages as a file, whole or not at all; CSV, or NDJSON if the name says so.

        Raises:
            CommandError: the API does not give them.

        """
        params = {"format": "ndjson" if to.suffix.lower() in {".ndjson", ".jsonl"} else "csv"}
        if status is not None:
            params["status"] = status
        partial = to.with_name(f"{to.name}.partial")
        try:
            async with self._http.stream("GET", f"/v1/campaigns/{campaign}/export", params=params) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response)
                with partial.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
        except (httpx.TransportError, PassingError) as error:
            partial.unlink(missing_ok=True)
            raise CommandError(f"the messages could not be read to their end: run it again ({error})") from None
        partial.replace(to)

    async def _message_command(self, campaign: str, path: str, body: Any) -> CampaignMessageAnswer:
        path = f"/v1/campaigns/{campaign}/messages/{path}"
        answer = await self._command("POST", path, body, campaign=campaign, hints=_MESSAGE_HINTS)
        return CampaignMessageAnswer.model_validate(answer)

    async def _command(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        key: str | None = None,
        campaign: str | None = None,
        hints: Mapping[str, str] = _HINTS,
    ) -> Any:
        headers = {"Idempotency-Key": key or str(uuid4()), "Tidings-User": self._by}
        document = {} if body is None else {"json": body}
        return await self._patiently(
            lambda: self._ask(method, path, campaign=campaign, hints=hints, headers=headers, **document)
        )

    async def _ask(
        self, method: str, path: str, *, campaign: str | None = None, hints: Mapping[str, str] = _HINTS, **request: Any
    ) -> Any:
        try:
            return await ask(self._http, method, path, **request)
        except RefusedError as error:
            if campaign is None or error.state is None:
                raise
            hint = hints.get(error.state)
            said = f"{error.detail}; {hint.format(id=campaign)}" if hint is not None else error.detail
            raise CommandError(said) from None

    async def _patiently(self, once: Callable[[], Awaitable[Any]], *, patience: float | None = _PATIENCE) -> Any:
        pause, begun, told = _FIRST_PAUSE, self._clock(), ""
        while True:
            try:
                return await once()
            except PassingError as error:
                if patience is not None and self._clock() - begun > patience:
                    again = "whether it was done is not known: run the same command again"
                    raise CommandError(f"{error}; {again}") from None
                if str(error) != told:
                    told = str(error)
                    self._waiting(f"{error}: trying again")
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
