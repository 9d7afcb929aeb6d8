"""Runs the scenes: turn the knobs, produce the events, follow each to its end, break a provider and heal it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from devstack.demo.scenes import Scene, scenes, stuck_scene
from devstack.demo.world import World

SCENE_SECONDS = 90.0  # longer than the slowest scene by far; what takes longer is reported as not as expected
STUCK_SECONDS = 90.0
POLL_SECONDS = 0.25

Tell = Callable[[str, str], None]  # scene's name, what happened


@dataclass(kw_only=True)
class Ending:
    """How a scene ended; `problems` is empty when everything was as expected."""

    scene: Scene
    answer: Mapping[str, Any] = field(default_factory=dict)
    received: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    was_stuck: bool = False
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class DemoTimeoutError(Exception):
    """A scene did not come to the state that was waited for."""


async def play(world: World, tell: Tell) -> list[Ending]:
    """Play everything and return every ending, in the order of the scenes."""
    now = datetime.now(UTC)
    run = now.strftime("%H%M%S")
    first = scenes(run, now)
    await world.agree_to_offers("cus_43")
    for scene in first:
        if scene.fault is not None:
            await world.break_provider(scene.fault)
    endings = list(await asyncio.gather(*(_play(world, scene, tell) for scene in first)))
    endings.append(await _play_stuck(world, stuck_scene(run, now), tell))
    return endings


async def _play(world: World, scene: Scene, tell: Tell) -> Ending:
    ending = Ending(scene=scene)
    begun = time.monotonic()
    try:
        await world.produce(scene)
        tell(scene.name, f"produced to {scene.topic}")
        ending.answer = await _follow(world, scene, tell, _has_ended, SCENE_SECONDS)
    except (DemoTimeoutError, httpx.HTTPError) as error:
        ending.problems.append(f"{type(error).__name__}: {error}")
    ending.seconds = time.monotonic() - begun
    await _check(world, ending)
    return ending


async def _play_stuck(world: World, scene: Scene, tell: Tell) -> Ending:
    """Switch the e-mail provider off, let a delivery get stuck, switch it on again and retry as an operator would."""
    ending = Ending(scene=scene)
    begun = time.monotonic()
    try:
        await world.switch("smtp", on=False)
        tell(scene.name, "the e-mail provider is switched off")
        await world.produce(scene)
        tell(scene.name, f"produced to {scene.topic}")
        await _follow(world, scene, tell, _is_stuck, STUCK_SECONDS)
        ending.was_stuck = True
        await world.switch("smtp", on=True)
        tell(scene.name, "the provider is back; signal `retry` to the workflow, as you can in the Temporal UI")
        await world.type_retry(scene)
        ending.answer = await _follow(world, scene, tell, _has_ended, SCENE_SECONDS)
    except (DemoTimeoutError, httpx.HTTPError) as error:
        ending.problems.append(f"{type(error).__name__}: {error}")
    finally:
        await world.switch("smtp", on=True)
    ending.seconds = time.monotonic() - begun
    await _check(world, ending)
    return ending


async def _follow(
    world: World, scene: Scene, tell: Tell, is_enough: Callable[[Mapping[str, Any]], bool], seconds: float
) -> Mapping[str, Any]:
    deadline, told = time.monotonic() + seconds, ""
    while True:
        answer = await world.answer(scene)
        news = _in_short(answer)
        if news != told:
            told = news
            tell(scene.name, news)
        if is_enough(answer):
            return answer
        if time.monotonic() > deadline:
            raise DemoTimeoutError(f"after {seconds:.0f} s it is: {news}")
        await asyncio.sleep(POLL_SECONDS)


def _messages(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    notification = answer.get("notification") or {}
    return list(notification.get("messages", []))


def _in_short(answer: Mapping[str, Any]) -> str:
    for rejection in answer.get("rejections", ()):
        return f"rejected ({rejection['reason']}): {rejection['detail']}"
    notification = answer.get("notification")
    if not notification:
        return "on its way"
    words = [f"{message['channel']} {_status(message)}" for message in _messages(answer)]
    return f"{notification['status']}: {', '.join(words)}" if words else str(notification["status"])


def _status(message: Mapping[str, Any]) -> str:
    if message["stuck_reason"]:
        return f"STUCK ({message['stuck_reason']})"
    tries = len(message["attempts"])
    extra = f" ({message['reason']})" if message["status"] in {"skipped", "failed"} else ""
    return f"{message['status']}{extra}" + (f" after {tries} tries" if tries > 1 else "")


def _has_ended(answer: Mapping[str, Any]) -> bool:
    notification = answer.get("notification")
    return bool(answer.get("rejections")) or bool(notification and notification["finished_at"])


def _is_stuck(answer: Mapping[str, Any]) -> bool:
    return any(message["stuck_reason"] for message in _messages(answer))


async def _check(world: World, ending: Ending) -> None:
    """Compare with what was expected, and count what phones and mailboxes got."""
    scene, answer = ending.scene, ending.answer
    notification = answer.get("notification") or {}
    status = "rejected" if answer.get("rejections") else notification.get("status", "not seen")
    if status != scene.status:
        ending.problems.append(f"ended {status}, expected {scene.status}")
    if scene.reason is not None and scene.reason not in _in_short(answer):
        ending.problems.append(f"expected the reason {scene.reason}")
    found: dict[str, Counter[str]] = {}
    for message in _messages(answer):
        found.setdefault(message["channel"], Counter())[message["status"]] += 1
        ending.received[message["seq"]] = await world.received(message["id"])
        copies = len(ending.received[message["seq"]])
        wanted = 1 if message["status"] == "sent" else 0
        if copies != wanted:
            ending.problems.append(f"{message['channel']}: the inbox holds {copies} copies, expected {wanted}")
    expected = {channel: Counter(statuses) for channel, statuses in scene.messages.items()}
    if found != expected:
        ending.problems.append(f"messages ended {_words(found)}, expected {_words(expected)}")


def _words(found: Mapping[str, Counter[str]]) -> str:
    return ", ".join(
        f"{channel} {status}" for channel, counts in sorted(found.items()) for status in sorted(counts.elements())
    )
