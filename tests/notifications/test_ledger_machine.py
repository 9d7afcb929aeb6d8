"""The ledger against a model of it: claims, takeovers, records, cancels and operators in any order.

After every step the rows, the outbox and the attempts are what the model says, and what must never happen has not:
a call begun twice, a lowered status, a second claim of an `at_most_once` message whose answer was lost.
"""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import namedtuple_row
from pydantic import SecretStr

from notifications.database import Sessions, create_engine, create_sessions, transaction
from notifications.ledger import Ledger, Result, Try, Verdict
from notifications.statuses import RANKS, AttemptOutcome, MessageStatus
from tests.support.ledger import message_row, notification_row
from tests.support.ledger_model import Call, ModelMessage, strictly_grows

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
SEQS = [1, 2]  # 1 is at_least_once, 2 at_most_once
PROCESSES = ["worker-a", "worker-b"]
OUTCOMES = [*AttemptOutcome, *3 * [AttemptOutcome.TRANSIENT], *2 * [AttemptOutcome.UNKNOWN]]
NUMBERS = st.integers(0, 2**20)  # one a step: choices drawn one by one repeat those of earlier steps
MAY_HAVE_ARRIVED = {AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN}

_ROWS = """
SELECT seq, status, stuck_reason IS NOT NULL AS stuck, round, attempt, failures, version,
       (SELECT array_agg(a.attempt) FROM attempts a WHERE a.origin_id = m.origin_id AND a.seq = m.seq) AS recorded,
       (SELECT array_agg(ROW(o.version, o.status, o.stuck)::text ORDER BY o.id) FROM outbox o
        WHERE o.origin_id = m.origin_id AND o.seq = m.seq) AS told
FROM messages m WHERE origin_id = %(id)s ORDER BY seq
"""
_SUPPRESS = (
    "INSERT INTO suppressions (address_ref, channel, scope, reason, source) VALUES (%(ref)s, 'email', 'all', '', '')"
)
_MOVE_WINDOW = (
    "UPDATE messages SET expires_at = %(ends)s, not_before = %(begins)s WHERE origin_id = %(id)s AND seq = %(seq)s"
)
_TIME_PASSES = """
UPDATE messages SET budget_since = budget_since - interval '1 hour', claimed_at = claimed_at - interval '1 hour'
WHERE origin_id = %(id)s AND seq = %(seq)s
"""


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, runner: asyncio.Runner, sessions: Sessions, eye: "psycopg.Connection[Any]") -> None:
        super().__init__()
        self.eye = eye  # sees and disturbs the rows without the ledger
        self.run = runner.run
        self.sessions = sessions
        self.steps = 0
        self.ledgers = {name: Ledger(sessions, process=name, call_window=timedelta()) for name in PROCESSES}

    @initialize(seed=st.integers(0, 2**24 - 1))
    def begin(self, seed: int) -> None:
        self.seed = seed
        self.plan()

    def plan(self) -> None:
        self.origin = uuid.uuid4()
        self.calls: list[Call] = []
        self.ranks = {1: 0, 2: 0}
        self.latest = {1: T0, 2: T0}
        self.messages = {1: ModelMessage(at_most_once=False), 2: ModelMessage(at_most_once=True)}

        async def insert() -> None:
            notification = notification_row(id=self.origin)
            async with transaction(self.sessions) as session:
                session.add(notification)
                await session.flush()
                session.add(message_row(notification, 1))
                session.add(message_row(notification, 2, duplicates="at_most_once"))

        self.run(insert())

    def _throw(self, number: int) -> Random:
        """The dice of a step; after the last message has ended it is mostly time for another notification."""
        self.steps += 1
        dice = Random(f"{self.seed} {self.steps} {number}")  # noqa: S311 - dice, no secret
        if dice.random() < 0.6 and not any(model.status.is_open for model in self.messages.values()):
            self.plan()
        return dice

    def _choose(self, dice: Random, *, among: Callable[[ModelMessage], bool]) -> int:
        """Mostly a message of which something holds, so that something happens."""
        wanted = [seq for seq in SEQS if among(self.messages[seq])]
        return dice.choice(wanted if wanted and dice.random() < 0.85 else SEQS)

    @rule(number=NUMBERS)
    def claim(self, number: int) -> None:
        """Mostly a later try; an equal or an earlier one, or one of the round before, comes too."""
        dice = self._throw(number)
        seq = self._choose(dice, among=lambda model: model.status.is_open)
        self._claim(
            dice, seq, self.messages[seq].round - dice.choice([0, 0, 0, 0, 1]), dice.choice([1, 1, 1, 0, -1, 2])
        )

    @rule(number=NUMBERS)
    def take_over(self, number: int) -> None:
        dice = self._throw(number)
        seq = self._choose(dice, among=lambda model: model.status is MessageStatus.SENDING)
        self._claim(dice, seq, self.messages[seq].round, 1)

    @rule(number=NUMBERS)
    def try_once(self, number: int) -> None:
        dice = self._throw(number)
        seq = self._choose(dice, among=lambda model: model.status is MessageStatus.PENDING and not model.stuck)
        calls = len(self.calls)
        self._claim(dice, seq, self.messages[seq].round, 1)
        for call in self.calls[calls:]:
            self._record(dice, call)

    def _claim(self, dice: Random, seq: int, number: int, later: int) -> None:
        process, stick, answer_is_lost = dice.choice(PROCESSES), dice.random() < 0.7, dice.random() < 0.15
        model = self.messages[seq]
        at = self.latest[seq] + timedelta(seconds=later)
        self.latest[seq] = max(at, self.latest[seq])
        was_withdrawn = model.withdrawn
        ledger = (
            Ledger(self.sessions, process=process, call_window=timedelta()) if answer_is_lost else self.ledgers[process]
        )
        (found,) = self.run(ledger.claim([Try(self.origin, seq, number, at, "smtp", stick)]))
        expected = model.claim(process, number, at, stick=stick)
        if answer_is_lost or found.verdict is not Verdict.CLAIMED:
            assert answer_is_lost or expected != "claimed"
            return
        assert expected in {"claimed", "goes on"}
        assert expected == "goes on" or not was_withdrawn
        self._hand_out(Call(process, found))

    def _hand_out(self, call: Call) -> None:
        """The call begins: nobody else has this attempt, and no earlier answer of an at_most_once message is open."""
        claim = call.claim
        begun = [old for old in self.calls if old.claim.seq == claim.seq and not old.given_back]
        assert strictly_grows([*(old.claim.attempt for old in begun), claim.attempt])
        if self.messages[claim.seq].at_most_once:
            counting = [old.result for old in begun if not old.duplicate_accepted]
            assert all(result and result.outcome not in MAY_HAVE_ARRIVED for result in counting)
        self.calls.append(call)

    @rule(number=NUMBERS)
    def record(self, number: int) -> None:
        """Of the current or of a superseded attempt, for the first time or again."""
        dice = self._throw(number)
        if begun := [call for call in self.calls if not call.given_back]:
            self._record(dice, dice.choice(begun[-4:]))

    def _record(self, dice: Random, call: Call) -> None:
        outcome, delay = dice.choice(OUTCOMES), dice.choice([1, 1, 1, 1, 901])
        stick = dice.random() < 0.7
        if call.result is None:
            now, wait, claim = datetime.now(UTC), timedelta(seconds=delay), call.claim
            call.result = Result(
                self.origin, claim.seq, claim.attempt, "smtp", outcome, now, now, "code", delay=wait, stick=stick
            )
        result, model = call.result, self.messages[call.claim.seq]
        (found,) = self.run(self.ledgers[call.process].record([result]))
        model.record(result.attempt, result.outcome, result.delay, stick=result.stick)
        assert (found.status, found.stuck_reason is not None, found.round) == (model.status, model.stuck, model.round)

    @rule(number=NUMBERS)
    def release(self, number: int) -> None:
        """A claim whose call has not begun, or once more one that was given back."""
        dice = self._throw(number)
        if unused := [call for call in self.calls if call.result is None]:
            call = dice.choice(unused)
            self.run(self.ledgers[call.process].release([call.claim]))
            self.messages[call.claim.seq].release(call.process, call.claim.scheduled_at, call.claim.attempt)
            call.given_back = True

    @rule(number=NUMBERS)
    def retry(self, number: int) -> None:
        dice = self._throw(number)
        model = self.messages[seq := self._choose(dice, among=lambda model: model.stuck)]
        from_round = model.round - dice.choice([0, 0, 1])
        self.run(self.ledgers["worker-a"].raise_round(self.origin, seq, from_round=from_round))
        model.retry(from_round)

    @rule(number=NUMBERS)
    def resend_unknown(self, number: int) -> None:
        dice = self._throw(number)
        seq = self._choose(dice, among=lambda model: model.status is MessageStatus.UNKNOWN)
        found = self.run(self.ledgers["worker-a"].raise_round_for_duplicate(self.origin, seq))
        assert (found is not None) == self.messages[seq].resend()
        if found is not None:
            self.ranks[seq] = 0  # the only way back, on an operator's word
            for call in self.calls:
                call.duplicate_accepted |= call.claim.seq == seq

    @rule(number=NUMBERS)
    def disturb(self, number: int) -> None:
        """Rules of their own would end most messages before anything interesting happens to them."""
        dice = self._throw(number)
        seq = self._choose(dice, among=lambda model: model.status.is_open)
        rare: dict[Callable[[], None], int] = {
            self._cancel: 2,
            self._expire: 2,
            partial(self._time_passes, seq): 3,
            partial(self._skip, seq): 1,
            partial(self._move_window, seq, dice): 2,
            partial(self._suppress, dice): 1,
        }
        dice.choices(list(rare), list(rare.values()))[0]()

    def _cancel(self) -> None:
        async def cancel() -> dict[int, str]:
            async with transaction(self.sessions) as session:
                answers = await self.ledgers["worker-a"].cancel(session, [self.origin])
            return {answer.seq: answer.answer for answer in answers[self.origin]}

        answers = self.run(cancel())
        for seq, model in self.messages.items():
            model.cancel()
            assert (answers[seq] == "cancelled") == (model.status is MessageStatus.CANCELLED)

    def _skip(self, seq: int) -> None:
        self.run(self.ledgers["worker-a"].skip(self.origin, seq))
        self.messages[seq].skip()

    def _expire(self) -> None:
        self.run(self.ledgers["worker-a"].expire(self.origin))
        for model in self.messages.values():
            model.expire()

    def _time_passes(self, seq: int) -> None:
        self._execute(_TIME_PASSES, seq=seq)
        self.messages[seq].time_passes()

    def _move_window(self, seq: int, dice: Random) -> None:
        expired, too_early = dice.random() < 0.4, dice.random() < 0.3
        hour, now = timedelta(hours=1), datetime.now(UTC)
        ends, begins = now + (-hour if expired else 72 * hour), now + (hour if too_early else -2 * hour)
        self._execute(_MOVE_WINDOW, seq=seq, ends=ends, begins=begins)
        self.messages[seq].expired, self.messages[seq].too_early = expired, too_early

    def _suppress(self, dice: Random) -> None:
        suppressed = dice.random() < 0.5
        self._execute("DELETE FROM suppressions WHERE address_ref = %(ref)s", ref=self.origin.bytes * 2)
        if suppressed:
            self._execute(_SUPPRESS, ref=self.origin.bytes * 2)
        for model in self.messages.values():
            model.suppressed = suppressed

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        for row in self._execute(_ROWS):
            model = self.messages[row.seq]
            status = MessageStatus(row.status)
            assert (status, row.stuck, row.round, row.attempt, row.failures, row.version) == model.view
            assert set(row.recorded or ()) == model.recorded
            assert (row.told or []) == [
                f"({version},{status},{'t' if stuck else 'f'})"
                for version, (status, stuck) in enumerate(model.told, start=1)
            ]
            assert not row.stuck or status is MessageStatus.PENDING
            assert RANKS[status] >= self.ranks[row.seq]
            self.ranks[row.seq] = RANKS[status]

    def _execute(self, statement: str, **parameters: object) -> "psycopg.Cursor[Any]":
        return self.eye.execute(statement, {"id": self.origin, **parameters})


def test_the_ledger_keeps_its_word_whatever_comes_in_whatever_order(database_url: str):
    with (
        asyncio.Runner() as runner,
        psycopg.connect(database_url, autocommit=True, row_factory=namedtuple_row) as eye,
    ):
        engine = create_engine(SecretStr(database_url), pool_size=1)
        try:
            run_state_machine_as_test(
                partial(LedgerMachine, runner, create_sessions(engine), eye),  # type: ignore[arg-type]
                settings=settings(
                    max_examples=40,
                    stateful_step_count=50,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(engine.dispose())
