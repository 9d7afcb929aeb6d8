"""How a workflow asks Postgres: a local activity while that is quick, an ordinary one when it is not."""

from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanningActivities, PlanRequest
    from notifications.plans import NotificationState
    from workflows.retries import LOCAL_LIMIT, LOCAL_ONCE, OWN_SERVERS_RETRY, OWN_SERVERS_START_TO_CLOSE

Result = TypeVar("Result")


async def ask(method: Callable[..., Any], argument: Any, *, summary: str | None = None) -> Any:
    """Run a method of PlanningActivities and return its result; an outage is waited out."""
    try:
        return await workflow.execute_local_activity_method(
            method, argument, schedule_to_close_timeout=LOCAL_LIMIT, retry_policy=LOCAL_ONCE
        )
    except FailureError as error:  # a local activity's own error comes bare, its time-out wrapped
        if is_cancelled_exception(error) or _is_final(error):
            raise
    return await patiently(method, argument, summary=summary)


async def patiently(method: Callable[..., Any], argument: Any, *, summary: str | None = None) -> Any:
    """The same as an ordinary activity, tried until it works."""
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=OWN_SERVERS_START_TO_CLOSE,
        retry_policy=OWN_SERVERS_RETRY,
        summary=summary,
    )


async def make_plan(request: PlanRequest) -> NotificationState:
    """Plan where the profiles are: in our own tables as a local activity, at an external service as an ordinary one."""
    state: NotificationState | None = await ask(PlanningActivities.plan, request, summary="plan")
    if state is None:
        remote = PlanRequest(request.notification_id, request.version, may_wait=True)
        state = await patiently(PlanningActivities.plan, remote, summary="plan with the profile service")
    assert state is not None  # noqa: S101 - an ordinary plan always answers
    return state


def _is_final(error: FailureError) -> bool:
    return any(isinstance(each, ApplicationError) and each.non_retryable for each in (error, error.cause))
