"""A campaign to thousands: imported, launched, paused, its workers killed, resumed, and counted at both ends.

Afterwards the server that received is asked, not ourselves: what the account calls `sent` has to be what it counted.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from devstack.demo.story import DemoTimeoutError, Tell
from devstack.demo.world import World
from devstack.supervisor import Stack

RECIPIENTS = 5_000
PER_SECOND = 500
WORKERS = ("orchestrator", "channels", "bulk")
PAUSE_SECONDS = 2.0  # what is promised
FINISH_SECONDS = 300.0  # by far more than it takes
ANSWER_SECONDS = 60.0  # a laptop that is busy starting workers may be slow to take the file
POLL_SECONDS = 0.25
_NEWS_SECONDS = 5.0
_WITHOUT_ADDRESS = 50  # every so many-th has no mailbox
_WITHOUT_CONSENT = 40  # every so many-th did not agree
_NAME = "campaign"
_LINK = re.compile(r"/u/[\w.~=-]+")


@dataclass(kw_only=True)
class CampaignEnding:
    """`problems` is empty when everything was as expected; the numbers are those of the account and of the inbox."""

    campaign_id: str = ""
    account: Mapping[str, Any] = field(default_factory=dict)
    accepted: int = 0  # by the mail server
    duplicates: int = 0
    last_mail_seconds: float | None = None  # how long after the pause was asked for the last mail came
    unsubscribed: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def by_status(self) -> Mapping[str, int]:
        counts: Mapping[str, int] = self.account.get("by_status", {})
        return counts

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "campaign_id": self.campaign_id,
            "account": dict(self.account),
            "inbox": {"accepted": self.accepted, "duplicates": self.duplicates},
            "last_mail_after_pause_seconds": self.last_mail_seconds,
            "after_unsubscribing": dict(self.unsubscribed),
            "seconds": round(self.seconds, 1),
        }


async def play_campaign(stack: Stack, world: World, tell: Tell, *, recipients: int = RECIPIENTS) -> CampaignEnding:
    """The whole scene; what went wrong is in `problems`."""
    ending, begun = CampaignEnding(), time.monotonic()
    try:
        await _Scene(stack, world, lambda news: tell(_NAME, news), recipients, ending).play()
    except (DemoTimeoutError, httpx.HTTPError) as error:
        ending.problems.append(f"{type(error).__name__}: {error}")
    ending.seconds = time.monotonic() - begun
    return ending


@dataclass(kw_only=True)
class Judged:
    """What both ends counted of a finished campaign."""

    account: Mapping[str, Any]
    recipients: int
    accepted: int
    duplicates: int

    def problems(self) -> list[str]:
        """Why they do not agree; an `unknown` one may have arrived or not."""
        counts: Mapping[str, int] = self.account["by_status"]
        sent, unknown = counts.get("sent", 0), counts.get("unknown", 0)
        ended = sum(counts.get(status, 0) for status in ("sent", "skipped", "unknown"))
        found = {
            f"the account has {self.account['targeted']} of {self.recipients}": self.account["targeted"]
            != self.recipients,
            f"the account does not add up: {dict(counts)}": sum(counts.values()) != self.account["targeted"],
            f"not everybody was sent or skipped: {dict(counts)}": ended != self.account["targeted"],
            f"the account says {sent} sent and {unknown} unknown, the mail server counted {self.accepted}": not (
                sent <= self.accepted <= sent + unknown
            ),
            f"{self.duplicates} mails came twice": self.duplicates,
        }
        return [sentence for sentence, wrong in found.items() if wrong]


class _Scene:
    def __init__(
        self, stack: Stack, world: World, tell: Callable[[str], None], recipients: int, ending: CampaignEnding
    ) -> None:
        self._stack = stack
        self._world = world
        self._tell = tell
        self._recipients = recipients
        self._ending = ending
        self._run = f"{datetime.now(UTC):%H%M%S}"

    async def play(self) -> None:
        await self._import()
        before = await self._counters()
        campaign = self._ending.campaign_id = await self._create(
            {"filter": {"field": "attributes.demo", "op": "eq", "value": self._run}}
        )
        reach = (await self._ask("POST", f"{campaign}/dry-run"))["reach"]
        self._tell(f"dry run: {reach['to_send']:,} would get it; skipped: {_words(reach['skipped'])}")
        await self._ask("POST", f"{campaign}/launch")
        self._tell(f"launched, {PER_SECOND} a second at most")
        await self._until(campaign, lambda answer: _sent(answer) >= reach["to_send"] // 3)
        await self._pause(campaign)
        await self._kill()
        await self._ask("POST", f"{campaign}/resume")
        self._tell("resumed")
        answer = await self._until(campaign, lambda answer: answer["campaign"]["finished_at"] is not None)
        after = await self._counters()
        self._ending.account = answer["account"]
        self._ending.accepted = after["accepted_by_provider"]["smtp"] - before["accepted_by_provider"].get("smtp", 0)
        self._ending.duplicates = after["duplicated_keys"] - before["duplicated_keys"]
        self._tell(
            f"{answer['campaign']['state']}: {_account(answer)}; the mail server counted {self._ending.accepted:,}"
        )
        if answer["campaign"]["state"] != "completed":
            self._ending.problems.append(f"the campaign ended {answer['campaign']['state']}")
        self._ending.problems += Judged(
            account=answer["account"],
            recipients=self._recipients,
            accepted=self._ending.accepted,
            duplicates=self._ending.duplicates,
        ).problems()
        await self._unsubscribe()

    async def _import(self) -> None:
        """A file as a shop would have it: some without a mailbox, some who did not agree to offers."""
        now = datetime.now(UTC).isoformat()
        rows = "".join(
            f"demo-{self._run}-{number},"
            f"{'' if number % _WITHOUT_ADDRESS == 0 else self._mailbox(number)},"
            f"{'de' if number % 3 == 0 else 'en'},{self._run},"
            f"{'false' if number % _WITHOUT_CONSENT == 1 else 'true'},demo,{now}\n"
            for number in range(self._recipients)
        )
        content = f"id,email,locale,attributes.demo,consent.offers.email,consent_source,consent_time\n{rows}".encode()
        self._tell(f"a file of {self._recipients:,} people is imported")
        headers = {"content-type": "text/csv"}
        sent = await self._world.api.post(
            "/v1/imports", content=content, headers=headers, params={"name": "demo.csv"}, timeout=ANSWER_SECONDS
        )
        found: dict[str, Any] = sent.raise_for_status().json()
        deadline = time.monotonic() + FINISH_SECONDS
        while found["finished_at"] is None:
            if time.monotonic() > deadline:
                raise DemoTimeoutError(f"the import is still {found['state']}")
            await asyncio.sleep(POLL_SECONDS)
            found = (await self._world.api.get(f"/v1/imports/{found['id']}")).raise_for_status().json()
        self._tell(f"imported: {found['created']:,} people, {found['refused']} refused")
        if found["created"] != self._recipients:
            self._ending.problems.append(f"{found['created']} of {self._recipients} people were imported")

    def _mailbox(self, number: int) -> str:
        return f"demo-{self._run}-{number}@example.org"

    async def _create(self, audience: Mapping[str, Any]) -> str:
        data = {"discount": "20 %", "code": "SPRING27", "ends": "2027-03-14", "shop_url": "https://acme.example/spring"}
        body = {
            "name": f"Spring sale {self._run}",
            "category": "offers",
            "channel": "email",
            "template": "spring-sale",
            "audience": audience,
            "data": data,
            "rate": {"per_second": PER_SECOND},
        }
        return str((await self._ask("POST", "", body))["campaign"]["id"])

    async def _pause(self, campaign: str) -> None:
        """The time is the mail server's: when the last one came after somebody asked for the pause."""
        asked = time.time()
        answer = await self._ask("POST", f"{campaign}/pause")
        answered = time.time() - asked
        self._tell(f"paused: {_account(answer)}; answered after {answered:.2f} s")
        await self._until(campaign, lambda answer: answer["account"]["in_flight"] == 0)
        await asyncio.sleep(PAUSE_SECONDS)
        last = max((await self._world.sandbox.get("/api/inbox/arrivals")).raise_for_status().json()["arrivals"])
        took = self._ending.last_mail_seconds = round(max(0.0, last - asked), 2)
        self._tell(f"the last mail came {took:.2f} s after the pause was asked for")
        if took > answered + PAUSE_SECONDS:
            self._ending.problems.append(f"mails came {took:.2f} s after the pause, {PAUSE_SECONDS:.0f} s are promised")

    async def _kill(self) -> None:
        victims = [self._stack.applications[name] for name in WORKERS]
        await asyncio.gather(*(victim.take_down(kill=True) for victim in victims))
        self._tell(f"SIGKILL: all workers ({', '.join(WORKERS)})")
        await asyncio.gather(*(victim.bring_back() for victim in victims))
        self._tell("all workers are started again")

    async def _unsubscribe(self) -> None:
        """One of them follows the link of the mail; the next campaign leaves them out."""
        number = 2  # has a mailbox, and agreed
        found = await self._world.sandbox.get("/api/inbox", params={"to": self._mailbox(number), "limit": 1})
        link = _LINK.search(str(found.raise_for_status().json()["items"]))
        if link is None:
            self._ending.problems.append("the mail has no link to unsubscribe")
            return
        (await self._world.api.get(link[0])).raise_for_status()  # as scanners do: this alone changes nothing
        (await self._world.api.post(link[0], data={"List-Unsubscribe": "One-Click"})).raise_for_status()
        campaign = await self._create({"recipients": [f"demo-{self._run}-{number}", f"demo-{self._run}-{number + 1}"]})
        await self._ask("POST", f"{campaign}/launch")
        answer = await self._until(campaign, lambda answer: answer["campaign"]["finished_at"] is not None)
        self._ending.unsubscribed = answer["account"]["by_status"]
        self._tell(f"one person clicked Unsubscribe; the next campaign to two: {_account(answer)}")
        if self._ending.unsubscribed != {"sent": 1, "skipped": 1} or answer["account"]["skipped"] != {"opted_out": 1}:
            self._ending.problems.append(f"after unsubscribing the next campaign went: {_account(answer)}")

    async def _until(self, campaign: str, is_enough: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        deadline, told = time.monotonic() + FINISH_SECONDS, time.monotonic()
        while True:
            answer = await self._ask("GET", campaign)
            if is_enough(answer):
                return answer
            if answer["campaign"]["state"] in {"failed", "cancelled"} or time.monotonic() > deadline:
                raise DemoTimeoutError(f"the campaign is {answer['campaign']['state']}: {_account(answer)}")
            if time.monotonic() - told > _NEWS_SECONDS:
                told = time.monotonic()
                self._tell(f"{answer['campaign']['state']}: {_words(_going(answer))}")
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        url = f"/v1/campaigns/{path}".rstrip("/")
        response = await self._world.api.request(method, url, json=body, timeout=ANSWER_SECONDS)
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    async def _counters(self) -> dict[str, Any]:
        counters: dict[str, Any] = (await self._world.sandbox.get("/api/inbox/count")).raise_for_status().json()
        return counters


def _sent(answer: Mapping[str, Any]) -> int:
    account = answer["account"]
    return account["by_status"].get("sent", 0) if account is not None else 0


def _account(answer: Mapping[str, Any]) -> str:
    account = answer["account"] or {"by_status": {}, "skipped": {}}
    skipped = account["skipped"]
    return _words(_going(answer)) + (f", skipped: {_words(skipped)}" if skipped else "")


def _going(answer: Mapping[str, Any]) -> Mapping[str, int]:
    """Without those that are left out, which does not change under way."""
    account = answer["account"] or {"by_status": {}}
    return {name: count for name, count in account["by_status"].items() if name != "skipped"}


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
