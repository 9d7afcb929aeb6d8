"""Compares what was asked for, what the ledger and the API's account say, and what the vendors received of campaigns.

The rules are those of single messages (oracle.py). Besides: each of the crowd has exactly one message, numbered without
a gap; the account adds up and is what the vendors counted; every call that was lost was under way at the fault; no call
begins under an epoch after a higher one claimed, nor while a campaign is paused.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from activities.lanes import CALL_SECONDS, CLAIM_TO_CALL_SECONDS
from activities.temporal import campaign_workflow_id
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.ids import message_id
from tests.chaos.campaign_load import PEOPLE, REACHED, Marketer
from tests.chaos.oracle import Account, in_inbox, judge, workflow_state

Span = tuple[datetime, datetime]

_CONTROL = timedelta(seconds=2)  # from the answer of a pause until no call begins
_LONGEST_CALL = timedelta(seconds=CLAIM_TO_CALL_SECONDS + CALL_SECONDS + 5)
_ACCEPTED = {"sent", "delivered", "opened", "clicked"}

_MESSAGES = """
SELECT m.origin_id, m.seq, m.recipient_id, m.channel, m.status, m.reason, m.stuck_reason, m.duplicates, m.claimed_at,
       m.attempt - count(a.*) FILTER (WHERE a.outcome <> 'unknown') AS answers_lost,
       count(a.*) FILTER (WHERE a.outcome = 'unknown') AS answers_unknown
FROM messages m LEFT JOIN attempts a USING (origin_id, seq)
WHERE m.origin_id = ANY (%s) GROUP BY m.origin_id, m.seq ORDER BY m.origin_id, m.seq
"""
_STARTS = "SELECT started_at, finished_at FROM attempts WHERE origin_id = ANY (%s)"
# What ended without a call keeps the time of an earlier claim under a newer epoch.
_ZOMBIES = f"""
WITH claims AS (
    SELECT origin_id, (seq - 1) / {RANGE_SIZE} AS range, range_epoch AS epoch,
           min(claimed_at) AS first, max(claimed_at) AS last
    FROM messages WHERE origin_id = ANY (%s) AND status IN ('sent', 'delivered') GROUP BY 1, 2, 3
)
SELECT count(*) AS count FROM claims older JOIN claims newer USING (origin_id, range)
WHERE older.epoch < newer.epoch AND older.last > newer.first
"""


async def settle_campaigns(marketer: Marketer, fault: Span, began: datetime, *, ends: str) -> Account:
    """The account of both campaigns of a run, once they have ended. `fault` says from when to when."""
    rows = await marketer.rows(_MESSAGES)
    copies = await _copies(marketer, began)
    account = Account(events=len(marketer.campaigns), messages=len(rows))
    for row in rows:
        received = copies.get(str(message_id(row["origin_id"], row["seq"])), [])
        if ends != "cancelled" or row["status"] != "cancelled" or received:
            judge_row(account, row, received, fault)
    for name, campaign in marketer.campaigns.items():
        own = [row for row in rows if row["origin_id"] == campaign]
        judge_snapshot(account, name, own)
        await _judge_account(account, marketer, name, own, copies, ends=ends)
    await _judge_calls(account, marketer, rows, fault)
    return account


def judge_row(account: Account, row: Mapping[str, Any], received: Sequence[datetime], fault: Span) -> None:
    if row["status"] == "skipped" and row["reason"] == "no_address" and not received:
        return
    judge(account, row, len(received))
    begun, over = fault[0] - _LONGEST_CALL, fault[1]
    name = f"message {row['origin_id']}/{row['seq']}"
    if row["status"] == "unknown" and not begun <= row["claimed_at"] <= over:
        account.wrong.append(f"{name} is unknown, but was claimed at {row['claimed_at']:%T}, not at the fault")
    for moment in sorted(received)[:-1]:
        if not begun <= moment <= over + _LONGEST_CALL:
            account.wrong.append(f"{name} has a copy of {moment:%T} that was not under way at the fault")


def judge_snapshot(account: Account, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Each of the crowd once, and no gap."""
    people = len({row["recipient_id"] for row in rows})
    if [row["seq"] for row in rows] != list(range(1, PEOPLE + 1)) or people != PEOPLE:
        account.lost += PEOPLE - people
        account.wrong.append(f"{name}: {len(rows)} messages to {people} of {PEOPLE} people")
    reached = sum(row["reason"] != "no_address" for row in rows)
    if reached != REACHED:
        account.wrong.append(f"{name}: {reached} of {REACHED} were to be reached")


async def _judge_account(
    account: Account,
    marketer: Marketer,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    copies: Mapping[str, Sequence[datetime]],
    *,
    ends: str,
) -> None:
    """What the API says, against the vendors' own count."""
    campaign = marketer.campaigns[name]
    answer = (await marketer.world.api.get(f"/v1/campaigns/{campaign}")).raise_for_status().json()
    said, by_status = answer["account"], answer["account"]["by_status"]
    if answer["campaign"]["state"] != ends:
        account.wrong.append(f"{name} is {answer['campaign']['state']} and not {ends}")
    if said["targeted"] != PEOPLE or sum(by_status.values()) != PEOPLE or by_status.get("sending"):
        account.wrong.append(f"{name}: the account does not add up to {PEOPLE}: {by_status}")
    unknown = {str(message_id(campaign, row["seq"])) for row in rows if row["status"] == "unknown"}
    ours = {str(message_id(campaign, row["seq"])) for row in rows}
    taken = sum(1 for key in copies if key in ours and key not in unknown)
    accepted = sum(count for status, count in by_status.items() if status in _ACCEPTED)
    if accepted != taken:
        account.wrong.append(f"{name}: the account says {accepted}, the vendors took {taken}")
    state = await workflow_state(marketer.world, campaign_workflow_id(campaign, 1))
    if state is not WorkflowExecutionStatus.COMPLETED:
        account.wrong.append(f"the workflow of {name} is {state.name if state else 'not there'}")


async def _judge_calls(account: Account, marketer: Marketer, rows: Sequence[Mapping[str, Any]], fault: Span) -> None:
    calls = await marketer.rows(_STARTS)
    struck, down = fault[0], marketer.down or fault[1]
    account.in_flight = sum(call["started_at"] <= down and call["finished_at"] >= struck for call in calls)
    account.in_flight += sum(row["answers_lost"] - row["answers_unknown"] for row in rows)
    for number in ("duplicates", "unknown"):
        if getattr(account, number) > account.in_flight:
            account.wrong.append(f"{getattr(account, number)} {number}, but {account.in_flight} calls in flight")
    for answered, resumed in marketer.quiet:
        late = [
            call["started_at"]
            for call in calls
            if call["started_at"] > answered + _CONTROL and (resumed is None or call["started_at"] < resumed)
        ]
        if late:
            account.wrong.append(f"{len(late)} calls began while it was paused or cancelled, the last {max(late):%T}")
    zombies = (await marketer.rows(_ZOMBIES))[0]["count"]
    if zombies:
        account.forbidden += zombies
        account.wrong.append(f"{zombies} ranges were claimed under an epoch that was over")


async def _copies(marketer: Marketer, began: datetime) -> dict[str, list[datetime]]:
    """When each message id was accepted, as the vendors saw it."""
    received: defaultdict[str, list[datetime]] = defaultdict(list)
    for item in await in_inbox(marketer.world, began):
        received[item["key"]].append(datetime.fromisoformat(item["received_at"]))
    return dict(received)
