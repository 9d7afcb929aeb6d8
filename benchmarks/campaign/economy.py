"""What a campaign asks of Temporal: events of history, and Actions as Temporal Cloud bills them.

https://docs.temporal.io/cloud/actions says what counts. On servers of one's own they stand for what Temporal writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from activities.batches import HEARTBEAT_SECONDS
from workflows.retries import BATCH_HEARTBEAT

# A child counts twice: its parent asks for it, and it starts. A signal counts where it arrives.
_BILLED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_TIMER_STARTED,
}
_ENDED = (
    "activity_task_completed_event_attributes",
    "activity_task_failed_event_attributes",
    "activity_task_timed_out_event_attributes",
    "activity_task_canceled_event_attributes",
)
_SENT_AT_MOST_EVERY = 0.8 * BATCH_HEARTBEAT  # the SDK keeps back those that come sooner


@dataclass(frozen=True)
class Economy:
    """`events` and `actions` of all histories; `longest` is the number of events in the longest."""

    events: int
    actions: int
    longest: int


def economy_of(histories: Sequence[WorkflowHistory]) -> Economy:
    lengths = [len(history.events) for history in histories]
    return Economy(sum(lengths), sum(billable_actions(history) for history in histories), max(lengths))


def billable_actions(history: WorkflowHistory) -> int:
    """Of one run. Heartbeats leave no event: each activity is taken for one that tells of itself as a batch does."""
    single = sum(event.event_type in _BILLED for event in history.events)
    # Local activities count once for each workflow task that they ran in.
    local = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    }
    return single + len(local) + _activities(history)


def _activities(history: WorkflowHistory) -> int:
    """Tries and their heartbeats."""
    begun: dict[int, HistoryEvent] = {}  # by the event that asked for it
    actions = 0
    for event in history.events:
        kind = event.WhichOneof("attributes")
        if kind == "activity_task_started_event_attributes":
            begun[event.activity_task_started_event_attributes.scheduled_event_id] = event
            actions += event.activity_task_started_event_attributes.attempt
        elif kind in _ENDED:
            start = begun.get(getattr(event, kind).scheduled_event_id, event)
            actions += heartbeats(event.event_time.ToDatetime() - start.event_time.ToDatetime())
    return actions


def heartbeats(ran: timedelta) -> int:
    """Those that a batch sends to the server."""
    rest = ran - timedelta(seconds=HEARTBEAT_SECONDS)
    return 0 if rest < timedelta() else 1 + rest // _SENT_AT_MOST_EVERY
