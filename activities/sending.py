"""The one activity that calls providers: claim → render → send → record."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities import metrics
from activities.infrastructure import infrastructure, outlast, where
from activities.outcomes import again, ended, next_delay, outcome_of
from notifications.breaker import Breaker, Change, is_outage
from notifications.contents import Rendered, Rendering
from notifications.dead_addresses import DeadAddresses
from notifications.ids import message_id
from notifications.ledger import Claim, Ledger, Recorded, Result, Try, Verdict
from notifications.plans import UnknownNotificationError
from notifications.providers.base import (
    DeliveryError,
    PermanentDeliveryError,
    Provider,
)
from notifications.providers.routing import lets_another_try, remaining
from notifications.rendering.errors import RenderError
from notifications.statuses import AttemptOutcome, Channel, MessageStatus

CLAIM_TO_CALL_SECONDS = 5.0  # a call begins within this of its claim, or not at all
CLAIM_PATIENCE = timedelta(seconds=3)  # for an answer of Postgres that was lost
CALL_SECONDS = 20.0  # the one total deadline of a call
DEADLINE_GRACE_SECONDS = 1.0  # then a provider that overruns its deadline is cut off
RECORD_SECONDS = 5.0
TELL_PATIENCE = timedelta(seconds=2)
MIN_CALL_SECONDS = 8.0  # with less left, another provider has to wait for the next try
TRIES_BEFORE_RETRYING = 3  # failed tries of a round before the workflow says `retrying`

log = structlog.get_logger()


@dataclass(frozen=True)
class SendRequest:
    """One message of one round. `stick` is false where a fallback has another channel left."""

    origin_id: UUID
    seq: int
    channel: Channel
    round: int
    stick: bool = True


@dataclass(frozen=True)
class SendResult:
    """Where the message stands. `round` is the ledger's: a higher one than asked for means that it was raised since."""

    status: MessageStatus
    round: int
    reason: str | None = None
    stuck_reason: str | None = None
    provider: str | None = None
    due_at: datetime | None = None


class SendingActivities:
    def __init__(
        self,
        *,
        ledger: Ledger,
        contents: Rendering,
        providers: Mapping[Channel, Sequence[Provider]],
        dead_addresses: DeadAddresses,
        breaker: Breaker,
        client: Client | None = None,
        claim_to_call_seconds: float = CLAIM_TO_CALL_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._contents = contents
        self._providers = providers
        self._dead_addresses = dead_addresses
        self._breaker = breaker
        self._claim_to_call_seconds = claim_to_call_seconds
        self._call_seconds = call_seconds
        self._client = client  # tells the workflow of repeated failures; None: nobody listens

    @activity.defn
    async def send(self, request: SendRequest) -> SendResult:
        """Make one try; safe under reset, restart and two at once, since the ledger lets only one through.

        Raises:
            ApplicationError: retryable; `next_retry_delay` says when.

        """
        names = tuple(provider.name for provider in self._providers[request.channel])
        while True:
            result, called = await self._try(request, names)
            if result is not None:
                return result
            names = remaining(names, called)

    async def _try(self, request: SendRequest, names: Sequence[str]) -> tuple[SendResult | None, str]:
        """Call one of these providers, and say which; without a result another is to try at once."""
        claim, claim_begun = await self._claim(request, names)
        metrics.CLAIMS.labels(claim.channel, claim.verdict).inc()
        structlog.contextvars.bind_contextvars(
            notification_id=str(claim.origin_id), seq=claim.seq, attempt=claim.attempt, channel=str(claim.channel)
        )
        if claim.verdict is not Verdict.CLAIMED:
            return _not_claimed(claim), claim.waits_for
        provider = next(each for each in self._providers[request.channel] if each.name == claim.provider)
        # Whatever calls this activity off, a begun call ends and what came of it is written down.
        has_others = bool(remaining(names, provider.name))
        delivery = asyncio.ensure_future(
            self._deliver(claim, provider, claim_begun, stick=request.stick, has_others=has_others)
        )
        try:
            return await asyncio.shield(delivery), provider.name
        except asyncio.CancelledError:
            result = await delivery
            if result is None:
                raise
            return result, provider.name

    async def _claim(self, request: SendRequest, names: Sequence[str]) -> tuple[Claim, float]:
        """Claim, again where the answer was lost: the same try may go on with a claim of its own, its call not begun.

        Returns the claim and the monotonic instant from which its age counts.
        """
        scheduled_at = activity.info().current_attempt_scheduled_time
        first, *others = names
        wanted = Try(
            request.origin_id, request.seq, request.round, scheduled_at, first, request.stick, others=tuple(others)
        )

        async def claim() -> tuple[Claim, float]:
            begun = time.monotonic()
            for claimed in await self._ledger.claim([wanted]):
                return claimed, begun
            raise UnknownNotificationError(str(request.origin_id))

        async with infrastructure():
            return await outlast(claim, until=datetime.now(UTC) + CLAIM_PATIENCE)

    async def _deliver(
        self, claim: Claim, provider: Provider, claim_begun: float, *, stick: bool, has_others: bool
    ) -> SendResult | None:
        started = datetime.now(UTC)
        result = Result(
            claim.origin_id, claim.seq, claim.attempt, provider.name, AttemptOutcome.ACCEPTED, started, started
        )
        rendered = await self._render(claim)
        if isinstance(rendered, RenderError):
            outcome = ended(result, AttemptOutcome.RENDER_ERROR, "render_error", str(rendered))
        else:
            if time.monotonic() - claim_begun > self._claim_to_call_seconds or _seconds_for_call() <= 0:
                await self._release(claim)
                raise again("ClaimTooOld", "the call could not begin in time", timedelta(seconds=1))
            outcome = await self._call(claim, provider, rendered, result, has_others=has_others)
        recorded = await self._record(outcome, claim, stick=stick)
        return await self._conclude(claim, outcome, recorded)

    async def _render(self, claim: Claim) -> Rendered | RenderError:
        try:
            async with infrastructure():
                try:
                    return await self._contents.render(claim)
                except RenderError as error:
                    return error
        except ApplicationError:
            await self._release(claim)
            raise

    async def _call(
        self, claim: Claim, provider: Provider, rendered: Rendered, result: Result, *, has_others: bool
    ) -> Result:
        begun = time.monotonic()
        seconds = min(self._call_seconds, _seconds_for_call())
        key = message_id(claim.origin_id, claim.seq)
        failure: Exception | None = None
        try:
            async with asyncio.timeout(seconds + DEADLINE_GRACE_SECONDS):
                receipt = await provider.send(rendered.message, idempotency_key=key, deadline=begun + seconds)
        except DeliveryError as error:
            failure = error
            failover = has_others and lets_another_try(error) and _seconds_for_another() >= MIN_CALL_SECONDS
            delay = timedelta() if failover else next_delay(claim.failures, error)
            outcome = ended(result, outcome_of(error), error.code, error.detail, delay=delay)
            outcome = replace(outcome, failover=failover)
            await self._condemn(claim, provider, error)
        except Exception as error:  # noqa: BLE001 - a provider that breaks its protocol: the request may have gone out
            failure = error
            log.error(  # noqa: TRY400 - the text may be personal
                "delivery.provider_bug", provider=provider.name, error=type(error).__name__, where=where(error)
            )
            delay = next_delay(claim.failures, None)
            outcome = ended(result, AttemptOutcome.UNKNOWN, "provider_bug", type(error).__name__, delay=delay)
        else:
            outcome = ended(result, AttemptOutcome.ACCEPTED, None, None, receipt.provider_message_id)
            metrics.ACCEPTED_SECONDS.labels(claim.type).observe(
                (datetime.now(UTC) - rendered.due_since).total_seconds()
            )
        metrics.SEND_SECONDS.labels(claim.channel, provider.name).observe(time.monotonic() - begun)
        metrics.SENDS.labels("notification", claim.channel, provider.name, outcome.outcome).inc()
        await self._tell_breaker(claim, outcome, failure)
        return outcome

    async def _tell_breaker(self, claim: Claim, outcome: Result, failure: Exception | None) -> None:
        """An answer is told only where the provider failed lately: all is well most of the time."""
        change: Change | None = None
        try:
            if is_outage(failure):
                change = await self._breaker.note_outage(outcome.provider, claim.channel, outcome.code)
            elif claim.is_troubled:
                change = await self._breaker.note_answer(outcome.provider, claim.channel)
        except Exception as error:  # noqa: BLE001 - the outcome itself has still to be written down
            log.warning("provider.breaker_not_told", provider=outcome.provider, error=type(error).__name__)
        if change is not None:
            metrics.BREAKER.labels(claim.channel, outcome.provider, change).inc()
            log.warning("provider.breaker", change=str(change), provider=outcome.provider, code=outcome.code)

    async def _condemn(self, claim: Claim, provider: Provider, error: DeliveryError) -> None:
        """Stop using an address that the provider calls dead or opted out; missing it costs one more refused call."""
        if isinstance(error, PermanentDeliveryError) and (error.disable_address or error.opted_out):
            try:
                await self._dead_addresses.condemn(claim, provider=provider.name, opted_out=error.opted_out)
            except Exception as failure:  # noqa: BLE001 - the outcome itself has still to be written down
                log.warning("delivery.address_not_disabled", error=type(failure).__name__)

    async def _record(self, outcome: Result, claim: Claim, *, stick: bool) -> Recorded:
        """Write the outcome down, waiting for Postgres as long as the try lasts: unwritten, it would be sent again."""
        async with infrastructure():
            (recorded,) = await outlast(
                lambda: self._ledger.record([replace(outcome, stick=stick)]), until=_last_moment()
            )
        log.info(
            "delivery.recorded",
            provider=outcome.provider,
            outcome=str(outcome.outcome),
            code=outcome.code,
            status=str(recorded.status),
            definition=claim.definition,
        )
        return recorded

    async def _conclude(self, claim: Claim, outcome: Result, recorded: Recorded) -> SendResult | None:
        if recorded.stuck_reason is not None:
            metrics.STUCK.labels(claim.channel, outcome.provider, recorded.stuck_reason).inc()
        elif recorded.status.is_open and outcome.failover:
            metrics.FAILOVERS.labels(claim.channel, outcome.provider).inc()
            return None
        elif recorded.status.is_open:
            if recorded.failures == TRIES_BEFORE_RETRYING:
                await self._tell_workflow()
            raise again(str(outcome.outcome), f"{outcome.provider}: {outcome.code}", outcome.delay)
        return SendResult(recorded.status, recorded.round, recorded.reason, recorded.stuck_reason, outcome.provider)

    async def _tell_workflow(self) -> None:
        info = activity.info()
        if self._client is None or info.workflow_id is None:
            return
        try:
            handle = self._client.get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
            await handle.signal("delivery_retrying", rpc_timeout=TELL_PATIENCE)
        except Exception as error:  # noqa: BLE001 - a hint for operators must not cost a delivery
            log.warning("delivery.workflow_not_told", error=type(error).__name__)

    async def _release(self, claim: Claim) -> None:
        """Give the row back, waiting for Postgres: left `sending`, it would look like a call whose answer is lost."""
        async with infrastructure():
            await outlast(lambda: self._ledger.release([claim]), until=_last_moment())


def _last_moment() -> datetime:
    """Until when this try may still write."""
    info = activity.info()
    window = info.start_to_close_timeout or timedelta(seconds=CLAIM_TO_CALL_SECONDS + CALL_SECONDS + RECORD_SECONDS)
    return info.started_time + window - timedelta(seconds=1)


def _seconds_for_call() -> float:
    """What is left for a call, so that what came of it can still be recorded."""
    return (_last_moment() - datetime.now(UTC)).total_seconds() + 1 - RECORD_SECONDS


def _seconds_for_another() -> float:
    return _seconds_for_call() - CLAIM_TO_CALL_SECONDS


def _not_claimed(claim: Claim) -> SendResult:
    if claim.verdict is Verdict.SUPERSEDED:
        raise again("Superseded", "another try holds this message", timedelta(seconds=5))
    if claim.verdict is Verdict.PROVIDER_PAUSED:
        raise again("ProviderPaused", f"{claim.waits_for} is paused by an operator", claim.hold)
    if claim.verdict is Verdict.BREAKER_OPEN:
        raise again("BreakerOpen", f"{claim.waits_for} failed too often in a row", claim.hold)
    return SendResult(claim.status, claim.round, claim.reason, claim.stuck_reason, due_at=claim.due_at)
