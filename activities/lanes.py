"""Two lanes through a range: while one waits for the provider, the other claims or records."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from activities import metrics
from activities.infrastructure import outlast, where
from activities.outcomes import ended, outcome_of
from activities.slots import Slots
from notifications.breaker import THRESHOLD, Breaker, Change, is_outage
from notifications.campaigns.contents import CampaignContent
from notifications.campaigns.ranges import ClaimedMessage, Hold, RangeLedger, is_claimed
from notifications.campaigns.watch import Watch
from notifications.dead_addresses import DeadAddresses, Target
from notifications.ids import message_id
from notifications.ledger import Ledger, Result
from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    PermanentDeliveryError,
    Provider,
    TransientDeliveryError,
)
from notifications.rates import Grant, ProviderRates, Rate, Rates
from notifications.rendering.errors import RenderError
from notifications.statuses import AttemptOutcome, Channel, MessageStatus

LANES = 2
CLAIM = 100  # messages of one claim; with 50, PostgreSQL and its client cost a third more for each
CALL_SECONDS = 20.0  # the one total deadline of a call
DEADLINE_GRACE_SECONDS = 1.0
CLAIM_TO_CALL_SECONDS = 5.0
PATIENCE = timedelta(seconds=30)  # for Postgres, when what came of calls has to be written down
_LONGEST_NAP = 0.5  # seconds, while a rate allows nothing: then the campaign's state is looked at
_FIRST_DELAY, _LONGEST_DELAY = timedelta(seconds=5), timedelta(minutes=15)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What every batch of a process shares."""

    ranges: RangeLedger
    ledger: Ledger
    rates: Rates
    breaker: Breaker
    dead_addresses: DeadAddresses
    slots: Mapping[Channel, Slots]
    provider_rates: ProviderRates


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that is not one recipient's: nobody is burned, the range goes back."""

    code: str
    wait: timedelta = timedelta()
    needs_operator: bool = False


class Lanes:
    """One pass over what is due of a range. `sent` and `trouble` say what came of it."""

    def __init__(
        self,
        hold: Hold,
        content: CampaignContent,
        providers: Sequence[Provider],
        watch: Watch,
        tools: Tools,
        *,
        until: datetime,
    ) -> None:
        self._hold = hold
        self._content = content
        self._providers = {provider.name: provider for provider in providers}
        self._watch = watch
        self._tools = tools
        self._until = until
        self._cursor = hold.first_seq - 1
        self._claiming = asyncio.Lock()
        self._outages = 0  # in a row
        self._not_begun = 0  # calls, of those that were granted
        self.trouble: Trouble | None = None
        self.is_cut_short = False
        self.sent = 0

    def stop(self) -> None:
        """Begin nothing more."""
        self.is_cut_short = True

    async def run(self) -> None:
        await asyncio.gather(*(self._lane() for _ in range(LANES)))

    async def _lane(self) -> None:
        while self.trouble is None and not self.is_cut_short:
            if datetime.now(UTC) >= self._until:
                self.stop()
                return
            provider = self._provider()
            if provider is None or not self._may_go_on(provider):
                return
            if not await self._send_some(provider):
                return

    def _may_go_on(self, provider: Provider) -> bool:
        return self.trouble is None and not self.is_cut_short and self._watch.may_begin(provider.name)

    def _provider(self) -> Provider | None:
        name = self._watch.choose(tuple(self._providers))
        if name is None:
            shut = self._watch.controls.paused.intersection(self._providers)
            self.trouble = Trouble("provider_paused" if shut else "breaker_open")
            return None
        return self._providers[name]

    async def _send_some(self, provider: Provider) -> bool:
        """Claim, send and record some messages; False: there was none."""
        tools, controls = self._tools, self._watch.controls
        slots = tools.slots[self._content.channel]
        rates = tools.provider_rates.of_campaign(self._hold.campaign_id, controls.per_second, provider.name)
        async with tools.rates.turn(rates):
            if not self._may_go_on(provider):
                return True
            wanted = await slots.take(1 if provider.name in controls.troubled else CLAIM)
            grant, asked = Grant(0, 0.0), time.monotonic()
            try:
                grant = await tools.rates.take(rates, wanted)
            finally:
                slots.give_back(wanted - grant.count)
            if grant.count == 0:
                await self._nap(grant.wait, provider)
                return True
        try:
            return await self._send_up_to(grant.count, provider, rates, asked)
        finally:
            slots.give_back(grant.count)

    async def _nap(self, wait: float, provider: Provider) -> None:
        seconds = min(wait, _LONGEST_NAP)
        metrics.RATE_WAITS.labels(self._content.channel, provider.name).inc(seconds)
        await asyncio.sleep(seconds)

    async def _send_up_to(self, granted: int, provider: Provider, rates: Sequence[Rate], asked: float) -> bool:
        async with self._claiming:
            rows = await self._tools.ranges.claim(self._hold, after=self._cursor, limit=granted, provider=provider.name)
            if rows:
                self._cursor = rows[-1].seq
        self._count_unknown(row.status for row in rows)
        claimed = [row for row in rows if is_claimed(row)]
        latest = asked + CLAIM_TO_CALL_SECONDS
        if rates:
            latest = self._tools.rates.latest_use(asked, longest=CLAIM_TO_CALL_SECONDS)
        await self._tools.rates.give_back(rates, granted - len(claimed))
        if claimed:
            await self._deliver(claimed, provider, latest)
            not_begun, self._not_begun = self._not_begun, 0
            await self._tools.rates.give_back(rates, not_begun)
        return bool(rows)

    async def _deliver(self, claimed: list[ClaimedMessage], provider: Provider, latest: float) -> None:
        results = await asyncio.gather(*(self._send(message, provider, latest) for message in claimed))
        until = datetime.now(UTC) + PATIENCE
        recorded = [result for result in results if result is not None]
        if recorded:
            self._count(recorded, provider)
            written = await outlast(lambda: self._tools.ledger.record(recorded), until=until)
            self._count_unknown(row.status for row in written)
        given_back = [message for message, result in zip(claimed, results, strict=True) if result is None]
        if given_back:
            await outlast(lambda: self._tools.ranges.release(self._hold, given_back), until=until)
        if recorded and self._outages == 0 and provider.name in self._watch.controls.troubled:
            await self._tell(self._tools.breaker.note_answer(provider.name, self._content.channel), provider, None)

    def _count(self, recorded: Sequence[Result], provider: Provider) -> None:
        channel = self._content.channel
        outcomes = Counter(result.outcome for result in recorded)
        for outcome, count in outcomes.items():
            metrics.SENDS.labels("campaign", channel, provider.name, outcome).inc(count)
        one = recorded[0]  # of each claim: to time every call would cost more than it tells
        if one.outcome != AttemptOutcome.RENDER_ERROR:
            metrics.SEND_SECONDS.labels(channel, provider.name).observe(
                (one.finished_at - one.started_at).total_seconds()
            )
        self.sent += outcomes[AttemptOutcome.ACCEPTED]

    @staticmethod
    def _count_unknown(statuses: Iterable[str]) -> None:
        metrics.UNKNOWN.inc(sum(status == MessageStatus.UNKNOWN for status in statuses))

    async def _send(self, message: ClaimedMessage, provider: Provider, latest: float) -> Result | None:
        """What came of one call, begun by `latest`; None: none was, or it was refused for no fault of the message."""
        started = datetime.now(UTC)
        result = Result(
            self._hold.campaign_id,
            message.seq,
            message.attempt,
            provider.name,
            AttemptOutcome.ACCEPTED,
            started,
            started,
            stick=False,
        )
        try:
            outgoing = self._content.render(message)
        except RenderError as error:
            return ended(result, AttemptOutcome.RENDER_ERROR, "render_error", str(error))
        now = time.monotonic()
        if self.trouble is not None or now > latest or not self._watch.may_begin(provider.name):
            self._not_begun += 1
            return None
        key = message_id(self._hold.campaign_id, message.seq)
        try:
            async with asyncio.timeout(CALL_SECONDS + DEADLINE_GRACE_SECONDS):
                receipt = await provider.send(outgoing, idempotency_key=key, deadline=now + CALL_SECONDS)
        except DeliveryError as error:
            return await self._failed(message, provider, result, error)
        except Exception as error:  # noqa: BLE001 - a provider that breaks its protocol: the request may have gone out
            log.error(  # noqa: TRY400 - the text may be personal
                "delivery.provider_bug", provider=provider.name, error=type(error).__name__, where=where(error)
            )
            await self._note_outage(provider, "provider_bug")
            return ended(result, AttemptOutcome.UNKNOWN, "provider_bug", type(error).__name__)
        self._outages = 0
        return ended(result, AttemptOutcome.ACCEPTED, None, None, receipt.provider_message_id)

    async def _failed(
        self, message: ClaimedMessage, provider: Provider, result: Result, error: DeliveryError
    ) -> Result | None:
        if is_outage(error):
            await self._note_outage(provider, error.code)
            if isinstance(error, TransientDeliveryError):
                return None
        else:
            self._outages = 0
        match error:
            case PermanentDeliveryError(scope=ErrorScope.CONFIG):
                self.trouble = Trouble(error.code, needs_operator=True)
                return None
            case TransientDeliveryError(retry_after=timedelta() as wait):
                self.trouble = Trouble(error.code, wait)
                return None
            case PermanentDeliveryError() if error.disable_address or error.opted_out:
                await self._condemn(message, provider, opted_out=error.opted_out)
        delay = min(_FIRST_DELAY * 2 ** min(message.failures, 32), _LONGEST_DELAY)
        jitter = random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        return ended(result, outcome_of(error), error.code, error.detail, delay=delay * jitter)

    async def _note_outage(self, provider: Provider, code: str) -> None:
        """A provider that fails again and again fails for everybody."""
        self._outages += 1
        if self._outages <= THRESHOLD:
            await self._tell(
                self._tools.breaker.note_outage(provider.name, self._content.channel, code), provider, code
            )
        if self._outages >= THRESHOLD:
            self.trouble = self.trouble or Trouble(code)

    async def _tell(self, told: Awaitable[Change | None], provider: Provider, code: str | None) -> None:
        try:
            change = await told
        except Exception as error:  # noqa: BLE001 - the outcome itself has still to be written down
            log.warning("provider.breaker_not_told", provider=provider.name, error=type(error).__name__)
            return
        if change is not None:
            metrics.BREAKER.labels(self._content.channel, provider.name, change).inc()
            log.warning("provider.breaker", change=str(change), provider=provider.name, code=code)

    async def _condemn(self, message: ClaimedMessage, provider: Provider, *, opted_out: bool) -> None:
        """Stop using an address that the provider calls dead or opted out; missing it costs one more refused call."""
        try:
            target = Target(self._content.channel, message.address, message.recipient_id)
            await self._tools.dead_addresses.condemn(target, provider=provider.name, opted_out=opted_out)
        except Exception as failure:  # noqa: BLE001 - the outcome itself has still to be written down
            log.warning("delivery.address_not_disabled", error=type(failure).__name__)
