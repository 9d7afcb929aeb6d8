"""`demo --pull-the-plug`: events under way while all that carries them is killed, and what the inbox and ledger say.

Everything is real: the stack keeps its data in a throw-away folder, SIGKILL goes to every worker, the bridge and the
Temporal server, and events keep coming meanwhile. Afterwards the servers that received are counted, not ourselves.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from devstack.applications import APPLICATION_NAMES
from devstack.demo.account import Account, show
from devstack.demo.report import write
from devstack.demo.scenes import BANK, Fault, Scene
from devstack.demo.world import World, open_world
from devstack.ports import ports_apart
from devstack.processes import StackError
from devstack.state import STATE, read_variables
from devstack.supervisor import SERVER_NAMES, Stack, StackInterruptedError, StackOptions, running_stack
from notifications.statuses import MessageStatus

REPORT = "pull-the-plug.json"
EVENTS = 300
KILLED = ("orchestrator", "channels", "bulk", "bridge")  # and the Temporal server
RECIPIENTS = ("cus_43", "cus_44", "cus_45")  # each with one phone and one mailbox
CHANNELS = ("push", "email")
EVENTS_PER_SECOND = 15
# A vendor's distance: a message that was accepted while its answer is still on the way is the one that may come twice.
LATENCY_MS = 300
OUTAGE_SECONDS = 2.0
FINISH_SECONDS = 600.0  # by far more than it takes; what is not finished by then is told
NEWS_SECONDS = 5.0
POLL_SECONDS = 0.2
_AT_ONCE = 8  # questions to the API

Tell = Callable[[str], None]


async def pull_the_plug(console: Console, *, events: int = EVENTS, state: Path = STATE) -> Account:
    """Start a stack of its own, play the scene, show the account and write it to `state`.

    Raises:
        StackError: the stack does not start, or something ended that should not have.
        StackInterruptedError: a signal came.

    """
    folder = Path(tempfile.mkdtemp(prefix="tidings-plug-"))
    os.chmod(folder, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as another user, who has to reach its data
    quiet = (*SERVER_NAMES, *APPLICATION_NAMES, "catalogue")
    options = StackOptions(state=folder, persist=True, ports=ports_apart(), quiet=quiet)
    kept = True  # for its logs
    try:
        async with running_stack(options, console) as stack:
            account = await _while_it_runs(stack, _play(stack, console, folder, events))
        kept = bool(account.problems)
    except StackInterruptedError:
        kept = False
        raise
    except httpx.HTTPError as error:
        raise StackError(f"the API or the sandbox did not answer: {type(error).__name__}: {error}") from error
    finally:
        if kept:
            console.print(f"Its data and logs stay in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    show(console, account)
    write(state / REPORT, account.document())
    return account


async def _while_it_runs(stack: Stack, scene: Coroutine[Any, Any, Account]) -> Account:
    playing, running = asyncio.create_task(scene), asyncio.create_task(stack.wait())
    try:
        await asyncio.wait({playing, running}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            return await playing
        await running
        raise StackInterruptedError
    finally:
        for task in (playing, running):
            task.cancel()
        await asyncio.gather(playing, running, return_exceptions=True)


async def _play(stack: Stack, console: Console, folder: Path, events: int) -> Account:
    begun = time.monotonic()

    def tell(news: str) -> None:
        console.print(Text.assemble((f"{time.monotonic() - begun:6.1f} s ", "dim"), news), soft_wrap=True)

    payments = _payments(events)
    async with open_world(stack.endpoints, read_variables(folder)) as world:
        for provider in ("fcm", "smtp"):
            await world.break_provider(Fault(provider=provider, knobs={"latency_ms": LATENCY_MS}))
        tell(f"{events} payments, {EVENTS_PER_SECOND} a second, through Kafka: a push and an e-mail each")
        pulled = asyncio.Event()
        producing = asyncio.create_task(_produce(world, payments, pulled))
        try:
            await _until_accepted(world, events * len(CHANNELS) // 3, producing)
            in_flight = await _kill_and_start_again(stack, world, payments, pulled, tell)
            await producing
            answers = await _until_finished(world, payments, tell)
        finally:
            producing.cancel()
            await asyncio.gather(producing, return_exceptions=True)
        inbox, counters = await _inbox(world)
    return Account(
        events=events,
        expected=events * len(CHANNELS),
        unfinished=[event for event, answer in answers.items() if not _is_finished(answer)],
        ledger=_statuses(answers.values()),
        inbox=inbox,
        accepted=counters["accepted"],
        repeated=counters["duplicated_keys"],
        in_flight=in_flight,
        seconds=time.monotonic() - begun,
    )


def _payments(events: int) -> list[Scene]:
    now = datetime.now(UTC)
    return [
        Scene(
            name=f"payment-{number}",
            story="payment.succeeded: a push and an e-mail",
            topic="transactional.notifications",
            event={
                "specversion": "1.0",
                "id": f"plug-{now:%H%M%S}-{number}",
                "source": BANK,
                "type": "payment.succeeded",
                "time": now.isoformat(),
                "recipient": RECIPIENTS[number % len(RECIPIENTS)],
                "data": {"payment_id": f"pay_{number}", "amount": f"{number + 1}.00", "currency": "EUR"},
            },
        )
        for number in range(events)
    ]


async def _produce(world: World, payments: Sequence[Scene], pulled: asyncio.Event) -> None:
    """At a steady pace; the last third when nobody reads any more."""
    for number, payment in enumerate(payments):
        if number == len(payments) * 2 // 3:
            await pulled.wait()
        await world.produce(payment)
        await asyncio.sleep(1 / EVENTS_PER_SECOND)


async def _until_accepted(world: World, wanted: int, producing: "asyncio.Task[None]") -> None:
    """Until so many messages are in the inbox."""
    deadline = time.monotonic() + FINISH_SECONDS
    while (await _counters(world))["accepted"] < wanted:
        if producing.done():
            await producing
        if time.monotonic() > deadline:
            raise StackError(f"nothing to interrupt: the inbox did not hold {wanted} messages in {FINISH_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)


async def _kill_and_start_again(
    stack: Stack, world: World, payments: Sequence[Scene], pulled: asyncio.Event, tell: Tell
) -> frozenset[str]:
    """Returns the messages that were claimed: for each a call may have been in flight."""
    victims = [stack.applications[name] for name in KILLED]
    await asyncio.gather(
        *(victim.take_down(kill=True) for victim in victims), stack.servers.take_down("temporal", kill=True)
    )
    pulled.set()
    counters = await _counters(world)
    tell(f"{counters['accepted']} messages arrived. SIGKILL: {', '.join(KILLED)}, and the Temporal server")
    answers = await _ask(world, payments)
    in_flight = frozenset(key for key, status in _statuses(answers).items() if status == MessageStatus.SENDING)
    tell(f"{len(in_flight)} messages were claimed at that moment; payments keep coming into Kafka")
    await asyncio.sleep(OUTAGE_SECONDS)
    await stack.servers.bring_back("temporal")
    tell("the Temporal server is back, with its workflows")
    await asyncio.gather(*(victim.bring_back() for victim in victims))
    tell(f"{', '.join(KILLED)} are back")
    return in_flight


async def _until_finished(world: World, payments: Sequence[Scene], tell: Tell) -> dict[str, dict[str, Any]]:
    """What the ledger says of each event, once it is finished or the time is over."""
    deadline, told = time.monotonic() + FINISH_SECONDS, time.monotonic()
    answers: dict[str, dict[str, Any]] = {}
    for payment in payments:
        answer = await world.answer(payment)
        while not _is_finished(answer) and time.monotonic() < deadline:
            if time.monotonic() - told > NEWS_SECONDS:
                told = time.monotonic()
                tell(f"{(await _counters(world))['accepted']} messages arrived")
            await asyncio.sleep(POLL_SECONDS)
            answer = await world.answer(payment)
        answers[payment.event_id] = answer
    tell(f"all is over: {sum(map(_is_finished, answers.values()))} of {len(answers)} notifications are finished")
    return answers


async def _ask(world: World, payments: Sequence[Scene]) -> list[dict[str, Any]]:
    some = asyncio.Semaphore(_AT_ONCE)

    async def one(payment: Scene) -> dict[str, Any]:
        async with some:
            return await world.answer(payment)

    return list(await asyncio.gather(*map(one, payments)))


def _is_finished(answer: Mapping[str, Any]) -> bool:
    return bool((answer.get("notification") or {}).get("finished_at"))


def _statuses(answers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Message id → status."""
    messages = (message for answer in answers for message in (answer.get("notification") or {}).get("messages", ()))
    return {message["id"]: message["status"] for message in messages}


async def _counters(world: World) -> dict[str, Any]:
    counters: dict[str, Any] = (await world.sandbox.get("/api/inbox/count")).raise_for_status().json()
    return counters


async def _inbox(world: World) -> tuple[dict[str, int], dict[str, Any]]:
    """How often each key was accepted, and the inbox's own counters."""
    entries: list[dict[str, Any]] = []
    for channel in CHANNELS:
        answer = await world.sandbox.get("/api/inbox", params={"channel": channel, "limit": 1000})
        entries += answer.raise_for_status().json()["items"]
    return dict(Counter(str(entry["key"]) for entry in entries)), await _counters(world)
