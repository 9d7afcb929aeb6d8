"""Compares what was accepted, what the ledger says, what the workflows say, and what the vendors received.

Lost: an accepted event, or a message of it, that reached no vendor, and the ledger has no recorded reason for that.
Duplicate: a second acceptance of one message id. A call whose answer is lost is on record: its number is missing among
the attempts, or its outcome is `unknown`. A duplicate without such a call before it is silent, and never allowed.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal import notification_workflow_id
from notifications.ids import message_id
from notifications.statuses import NotificationStatus
from tests.chaos.load import Load
from tests.chaos.world import World

_SETTLED = [*(status for status in NotificationStatus if status.is_final), NotificationStatus.STUCK]
_UNSENT = {"skipped", "cancelled", "failed", "bounced"}
_POLL_SECONDS = 0.25
_PAGE = 1000  # as many as the sandbox lists

_MESSAGES = """
SELECT m.origin_id, m.seq, m.channel, m.status, m.reason, m.stuck_reason, m.duplicates,
       m.attempt - count(a.*) FILTER (WHERE a.outcome <> 'unknown') AS answers_lost
FROM messages m JOIN notifications n ON n.id = m.origin_id
LEFT JOIN attempts a USING (origin_id, seq)
WHERE n.source = %s GROUP BY m.origin_id, m.seq
"""
# In flight at the fault: begun before its end and not answered before its beginning.
_IN_FLIGHT = """
SELECT (SELECT count(*) FROM attempts a JOIN notifications n ON n.id = a.origin_id
        WHERE n.source = %s AND a.started_at <= %s AND a.finished_at >= %s)
     + (SELECT coalesce(sum(m.attempt - (SELECT count(*) FROM attempts a
                                         WHERE a.origin_id = m.origin_id AND a.seq = m.seq)), 0)
        FROM messages m JOIN notifications n ON n.id = m.origin_id WHERE n.source = %s) AS count
"""


@dataclass(kw_only=True)
class Account:
    """What became of the events of one run; each of `wrong` breaks a promise."""

    events: int
    messages: int = 0
    received: int = 0
    lost: int = 0
    duplicates: int = 0  # of at_least_once
    forbidden: int = 0  # duplicates of at_most_once, or without a lost answer before
    unknown: int = 0  # of at_most_once
    unsent: int = 0  # with a recorded reason
    in_flight: int = 0
    wrong: list[str] = field(default_factory=list)


async def until_settled(world: World, events: Collection[UUID], *, within: timedelta) -> datetime | None:
    """When the last of these had ended or was stuck; None if that took too long."""
    deadline = datetime.now(UTC) + within
    while datetime.now(UTC) < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            found = await world.rows(
                "SELECT count(*) AS count FROM notifications WHERE id = ANY (%s) AND status = ANY (%s)",
                list(events),
                [str(status) for status in _SETTLED],
            )
            if found[0]["count"] == len(events):
                return datetime.now(UTC)
        await asyncio.sleep(_POLL_SECONDS)
    return None


async def last_of(world: World, events: Collection[UUID]) -> str:
    """Which of these ended last, to look it up in the logs."""
    rows = await world.rows(
        "SELECT id FROM notifications WHERE id = ANY (%s) ORDER BY finished_at DESC NULLS FIRST LIMIT 1", list(events)
    )
    return str(rows[0]["id"]) if rows else "none"


async def keep_history(world: World, event: str) -> None:
    """The history of its workflow, beside the logs."""
    with contextlib.suppress(RPCError):
        history = await world.temporal.get_workflow_handle(f"notification-{event}").fetch_history()
        await asyncio.to_thread(world.keep, f"{event}.json", history.to_json())


async def settle_accounts(world: World, load: Load, fault: tuple[datetime, datetime], began: datetime) -> Account:
    """The account of a run whose events have settled. `fault` says from when to when."""
    rows = await world.rows(_MESSAGES, load.source)
    received = await _received(world, began)
    account = Account(events=len(load.accepted), messages=len(rows))
    for row in rows:
        forbidden = account.forbidden
        judge(account, row, received[str(message_id(row["origin_id"], row["seq"]))])
        if account.forbidden > forbidden:
            account.wrong.append(await _calls_of(world, row["origin_id"], row["seq"]))
    await _judge_events(world, account, load)
    (count,) = await world.rows(_IN_FLIGHT, load.source, fault[1], fault[0], load.source)
    account.in_flight = int(count["count"])
    for name in ("duplicates", "unknown"):
        if getattr(account, name) > account.in_flight:
            account.wrong.append(f"{getattr(account, name)} {name}, but {account.in_flight} calls in flight")
    return account


async def _calls_of(world: World, origin_id: UUID, seq: int) -> str:
    """When its calls began and ended."""
    asked = """SELECT attempt, outcome, started_at, finished_at FROM attempts
               WHERE origin_id = %s AND seq = %s ORDER BY attempt"""
    calls = [
        f"{row['attempt']}: {row['started_at']:%H:%M:%S.%f} to {row['finished_at']:%H:%M:%S.%f} {row['outcome']}"
        for row in await world.rows(asked, origin_id, seq)
    ]
    return f"  its calls: {'; '.join(calls)}"


def judge(account: Account, row: Mapping[str, Any], copies: int) -> None:
    """Enter one message of the ledger, of which the vendors took `copies`."""
    once = row["duplicates"] == "at_most_once"
    reason = row["stuck_reason"] or row["reason"]
    name = f"message {row['origin_id']}/{row['seq']} ({row['channel']}, {row['status']}, {reason})"
    account.received += copies > 0
    if row["status"] in _UNSENT or row["stuck_reason"] is not None:
        account.unsent += 1
        account.wrong.append(f"{name} was given up, though every fault here passes")
    elif row["status"] == "unknown" and once:
        account.unknown += 1
    elif not copies:
        account.lost += 1
        account.wrong.append(f"{name} never arrived")
    if copies > 1:
        forbidden = copies - 1 if once else max(0, copies - 1 - row["answers_lost"])
        account.forbidden += forbidden
        account.duplicates += 0 if once else copies - 1
        if forbidden:
            account.wrong.append(f"{name} arrived {copies} times, {row['answers_lost']} answers were lost")


async def _judge_events(world: World, account: Account, load: Load) -> None:
    """Accepted events are in the ledger with at least one message, and their workflows ended well."""
    with_messages = {
        row["id"]: row
        for row in await world.rows(
            "SELECT n.id, n.status FROM notifications n WHERE n.source = %s"
            " AND EXISTS (SELECT FROM messages m WHERE m.origin_id = n.id)",
            load.source,
        )
    }
    missing = load.accepted.keys() - with_messages.keys()
    account.lost += len(missing)
    account.wrong += [f"event {event} has no message" for event in missing]
    ended = [event for event, row in with_messages.items() if row["status"] != "stuck"]
    states = await asyncio.gather(*(workflow_state(world, notification_workflow_id(event)) for event in ended))
    for event, state in zip(ended, states, strict=True):
        if state is not WorkflowExecutionStatus.COMPLETED:
            account.wrong.append(f"the workflow of {event} is {state.name if state else 'not there'}")


async def workflow_state(world: World, workflow_id: str) -> WorkflowExecutionStatus | None:
    """What it is for ends in the ledger a moment before the workflow does."""
    handle = world.temporal.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(30):
            while (state := (await handle.describe()).status) is WorkflowExecutionStatus.RUNNING:
                await asyncio.sleep(_POLL_SECONDS)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    except TimeoutError:
        return WorkflowExecutionStatus.RUNNING
    return state


async def _received(world: World, began: datetime) -> Counter[str]:
    """How often each message id was accepted, as the vendors counted."""
    return Counter(item["key"] for item in await in_inbox(world, began))


async def in_inbox(world: World, began: datetime) -> list[dict[str, Any]]:
    """What the vendors accepted since then."""
    query: dict[str, str | int] = {"since": began.timestamp(), "limit": _PAGE}
    answer = (await world.sandbox.get("/api/inbox", params=query, timeout=180)).raise_for_status().json()
    items: list[dict[str, Any]] = answer["items"]
    assert len(items) < _PAGE, "the sandbox lists no more than this: make the run shorter"
    return items
