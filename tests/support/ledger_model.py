"""What the ledger should do, in a few lines of Python: the model that the state machine compares with Postgres."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from notifications.ledger import Claim, Result
from notifications.statuses import AttemptOutcome, MessageStatus

PENDING, SENDING = MessageStatus.PENDING, MessageStatus.SENDING
WILL_NEVER_WORK = {AttemptOutcome.REJECTED_RECIPIENT, AttemptOutcome.REJECTED_MESSAGE}
WORTH_ANOTHER_TRY = {AttemptOutcome.TRANSIENT, AttemptOutcome.UNKNOWN}


@dataclass
class Call:
    """A claim that was handed out to a process."""

    process: str
    claim: Claim
    result: Result | None = None
    given_back: bool = False
    duplicate_accepted: bool = False  # an operator let the message be sent again


@dataclass
class ModelMessage:
    """One row. `budget` is none, running or spent; `told` is what was published, as (status, stuck)."""

    at_most_once: bool
    status: MessageStatus = PENDING
    stuck: bool = False
    round: int = 1
    attempt: int = 0
    failures: int = 0
    try_at: datetime | None = None
    holder: str | None = None
    budget: str = "none"
    expired: bool = False
    too_early: bool = False
    claim_is_old: bool = False
    withdrawn: bool = False
    suppressed: bool = False
    told: list[tuple[MessageStatus, bool]] = field(default_factory=list)
    recorded: set[int] = field(default_factory=set)

    @property
    def view(self) -> tuple[object, ...]:
        """What can be compared with the row."""
        return self.status, self.stuck, self.round, self.attempt, self.failures, len(self.told)

    def claim(self, process: str, number: int, at: datetime, *, stick: bool) -> str:
        """The verdict, in the words of the statement; `goes on` is an equal try of the same process."""
        verdict = self._judge(process, number, at, stick=stick)
        if verdict == "claimed":
            if self.status is SENDING:
                self._count_failure()
            self.status, self.attempt, self.try_at, self.holder = SENDING, self.attempt + 1, at, process
            self.claim_is_old = False
        elif verdict == "goes on":
            self.claim_is_old = False
        elif verdict in _ENDS:
            self._end(*_ENDS[verdict])
        return verdict

    def _judge(self, process: str, number: int, at: datetime, *, stick: bool) -> str:
        sending = self.status is SENDING
        taken = self.try_at is not None
        refused = self.withdrawn or self.expired or self.suppressed
        cases = [
            (self.status not in {PENDING, SENDING}, "final"),
            (number < self.round, "outdated"),
            (sending and at == self.try_at and process == self.holder, "goes on"),
            (sending and taken and at <= self.try_at, "superseded"),  # type: ignore[operator]
            (not sending and taken and at < self.try_at, "superseded"),  # type: ignore[operator]
            (self.stuck, "stuck"),
            (sending and (self.at_most_once or refused), "lost"),
            (sending and self.budget == "spent", "exhausted" if stick else "failed"),
            (self.withdrawn, "cancelled"),
            (self.expired, "failed" if self.attempt else "skipped"),
            (self.suppressed, "skipped"),
            (self.too_early, "not due"),
        ]
        return next((verdict for holds, verdict in cases if holds), "claimed")

    def record(self, attempt: int, outcome: AttemptOutcome, delay: timedelta, *, stick: bool) -> None:
        self.recorded.add(attempt)
        if outcome is AttemptOutcome.ACCEPTED:
            if self.status in {PENDING, SENDING, *_LOWER_THAN_SENT}:
                self._end(MessageStatus.SENT)
            return
        if attempt != self.attempt or self.status is not SENDING:
            return
        again = outcome in WORTH_ANOTHER_TRY and self.budget != "spent"
        again = again and not self.expired and delay <= timedelta(minutes=15)
        cases = [
            (outcome is AttemptOutcome.UNKNOWN and (self.at_most_once or self.withdrawn), "lost"),
            (outcome in WILL_NEVER_WORK, "failed"),
            (self.withdrawn, "cancelled"),
            (again, "again"),
            (stick, "exhausted"),
        ]
        verdict = next((verdict for holds, verdict in cases if holds), "failed")
        if verdict in {"again", "exhausted"}:
            self._count_failure()
        if verdict == "again":
            self.status = PENDING
        else:
            self._end(*_ENDS[verdict])

    def release(self, process: str, at: datetime, attempt: int) -> None:
        if self.status is SENDING and (self.holder, self.try_at, self.attempt) == (process, at, attempt):
            self.status, self.attempt = PENDING, attempt - 1

    def cancel(self) -> None:
        self.withdrawn = True
        if self.status is PENDING:
            self._end(MessageStatus.CANCELLED)

    def skip(self) -> None:
        if self.stuck:
            self._end(MessageStatus.SKIPPED)

    def expire(self) -> None:
        if self.expired and self.status is PENDING:
            self._end(MessageStatus.FAILED if self.attempt else MessageStatus.SKIPPED)
        elif self.expired and self.status is SENDING and self.claim_is_old:
            self._end(MessageStatus.UNKNOWN)

    def retry(self, from_round: int) -> None:
        if self.stuck and self.round == from_round:
            self._next_round()

    def resend(self) -> bool:
        if self.status is not MessageStatus.UNKNOWN or self.expired or self.withdrawn:
            return False
        self.status = PENDING
        self._next_round()
        return True

    def time_passes(self) -> None:
        """The budget runs out, and a claim gets too old to be alive."""
        self.budget = "spent" if self.budget != "none" else "none"
        self.claim_is_old = True

    def _next_round(self) -> None:
        self.round += 1
        self.stuck, self.failures, self.budget, self.try_at = False, 0, "none", None

    def _count_failure(self) -> None:
        self.failures += 1
        self.budget = "running" if self.budget == "none" else self.budget

    def _end(self, status: MessageStatus, stuck: bool = False) -> None:  # noqa: FBT001, FBT002 - unpacked from a table
        self.status, self.stuck = status, stuck
        self.told.append((status, stuck))


_LOWER_THAN_SENT = {MessageStatus.CANCELLED, MessageStatus.SKIPPED, MessageStatus.UNKNOWN}
_ENDS: dict[str, tuple[MessageStatus, bool]] = {
    "lost": (MessageStatus.UNKNOWN, False),
    "exhausted": (PENDING, True),
    "failed": (MessageStatus.FAILED, False),
    "cancelled": (MessageStatus.CANCELLED, False),
    "skipped": (MessageStatus.SKIPPED, False),
}


def strictly_grows(numbers: list[int]) -> bool:
    return all(before < after for before, after in pairwise(numbers))
