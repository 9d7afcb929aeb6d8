"""The workflows behind a Temporal server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import override

from activities.starting import start_campaign, start_campaign_resend, start_import, start_resend
from activities.temporal import campaign_workflow_id, notification_workflow_id
from api.collaborators import (
    CommandName,
    CommandOutcome,
    CommandRefusedError,
    MessageCommand,
    NoWorkerError,
    WorkflowGoneError,
    Workflows,
    WorkflowsUnavailableError,
)
from notifications.statuses import NotificationType
from workflows.commands import CommandResult, RerouteCommand, RetryCommand, SkipCommand

ANSWER_WITHIN = timedelta(seconds=10)
_CHECK_WITHIN = timedelta(seconds=2)


def _translated(error: RPCError) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return WorkflowGoneError("no such workflow is running")
    return WorkflowsUnavailableError(error.status.name)


@contextmanager
def _starting() -> Iterator[None]:
    """One that was started before is a success."""
    try:
        yield
    except WorkflowAlreadyStartedError:
        return
    except RPCError as error:
        raise WorkflowsUnavailableError(error.status.name) from error
    except RuntimeError as error:
        raise WorkflowsUnavailableError("no connection") from error


class TemporalWorkflows(Workflows):
    """`answer_within` bounds every call, the worker's part included."""

    def __init__(self, client: Client, *, answer_within: timedelta = ANSWER_WITHIN) -> None:
        self._client = client
        self._answer_within = answer_within

    @override
    async def wake(self, notification_id: UUID, signal: str) -> None:
        await self._signal(notification_workflow_id(notification_id), signal)

    @override
    async def wake_campaign(self, campaign_id: UUID, round_number: int) -> None:
        await self._signal(campaign_workflow_id(campaign_id, round_number), "look_again")

    async def _signal(self, workflow_id: str, signal: str) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(signal, rpc_timeout=self._answer_within)
        except RPCError as error:
            raise _translated(error) from error
        except RuntimeError as error:
            raise WorkflowsUnavailableError("no connection") from error

    @override
    async def command(self, notification_id: UUID, command: MessageCommand) -> CommandOutcome:
        try:
            async with asyncio.timeout(self._answer_within.total_seconds()):
                result = await self._update(notification_id, command)
        except WorkflowUpdateFailedError as error:
            raise CommandRefusedError(_reason(error)) from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            _ = await self.check()  # a server that is away looks the same until it is asked
            raise NoWorkerError("no answer in time") from error
        except RPCError as error:
            raise _translated(error) from error
        except RuntimeError as error:
            raise WorkflowsUnavailableError("no connection") from error
        return CommandOutcome(result.seq, result.status, result.round)

    async def _update(self, notification_id: UUID, command: MessageCommand) -> CommandResult:
        handle = self._client.get_workflow_handle(notification_workflow_id(notification_id))
        result: CommandResult = await handle.execute_update(
            command.name.value, _argument(command), result_type=CommandResult, rpc_timeout=self._answer_within
        )
        return result

    @override
    async def resend(
        self, notification_id: UUID, notification_type: NotificationType, *, seq: int, round_number: int
    ) -> None:
        with _starting():
            await start_resend(
                self._client,
                notification_id,
                notification_type,
                seq=seq,
                round_number=round_number,
                rpc_timeout=self._answer_within,
            )

    @override
    async def resend_of_campaign(self, campaign_id: UUID, *, seq: int, round_number: int) -> None:
        with _starting():
            await start_campaign_resend(
                self._client, campaign_id, seq=seq, round_number=round_number, rpc_timeout=self._answer_within
            )

    @override
    async def start_import(self, import_id: UUID) -> None:
        with _starting():
            await start_import(self._client, import_id, rpc_timeout=self._answer_within)

    @override
    async def start_campaign(self, campaign_id: UUID, round_number: int, name: str) -> None:
        try:
            await start_campaign(self._client, campaign_id, round_number, name=name, rpc_timeout=self._answer_within)
        except WorkflowAlreadyStartedError:
            return
        except RPCError as error:
            raise WorkflowsUnavailableError(error.status.name) from error
        except RuntimeError as error:
            raise WorkflowsUnavailableError("no connection") from error

    @override
    async def check(self) -> str:
        try:
            serving = await self._client.service_client.check_health(timeout=_CHECK_WITHIN)
        except (RPCError, RuntimeError) as error:
            raise WorkflowsUnavailableError("no answer") from error
        if not serving:
            raise WorkflowsUnavailableError("not serving")
        return f"serving namespace {self._client.namespace}"


def _argument(command: MessageCommand) -> RetryCommand | SkipCommand | RerouteCommand:
    if command.channel is not None:
        return RerouteCommand(command.seq, command.channel)
    return RetryCommand(command.seq) if command.name is CommandName.RETRY else SkipCommand(command.seq)


def _reason(error: WorkflowUpdateFailedError) -> str:
    """The innermost message: our own, from the validator or the ledger, without personal data."""
    cause: BaseException = error.cause
    while isinstance(cause, FailureError) and isinstance(cause.cause, FailureError):
        cause = cause.cause
    return cause.message if isinstance(cause, FailureError) else "refused"
