"""Who has what after the plug was pulled: the inbox's count beside the ledger's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from notifications.statuses import MessageStatus


@dataclass(frozen=True, kw_only=True)
class Account:
    """Message ids throughout: `ledger` has the status of each, `inbox` how often each was accepted.

    `accepted` and `repeated` are the inbox's own counters; `unfinished` are the events without a finished notification.
    """

    events: int
    expected: int  # messages
    unfinished: Sequence[str]
    ledger: Mapping[str, str]
    inbox: Mapping[str, int]
    accepted: int
    repeated: int
    in_flight: frozenset[str]
    seconds: float = field(compare=False)

    @property
    def duplicates(self) -> int:
        return self.accepted - len(self.inbox)

    @property
    def lost(self) -> list[str]:
        """What no server received; nothing here is skipped, refused or withdrawn, so that all should be received."""
        return sorted(set(self.ledger) - set(self.inbox))

    @property
    def problems(self) -> list[str]:
        """Why the account does not add up; empty when it does."""
        missing = self.expected - len(self.ledger)
        unsent = Counter(status for status in self.ledger.values() if status != MessageStatus.SENT)
        twice = {key for key, times in self.inbox.items() if times > 1}
        found = {
            f"{len(self.unfinished)} events have no finished notification": len(self.unfinished),
            f"{missing} messages are not in the ledger": missing,
            f"{len(self.lost)} messages are lost": len(self.lost),
            f"messages did not end as sent: {dict(unsent)}": len(unsent),
            "the inbox holds messages that the ledger does not know": len(set(self.inbox) - set(self.ledger)),
            "the inbox's counters and its messages differ": self.accepted - sum(self.inbox.values())
            or self.repeated - len(twice),
            "messages came twice whose calls were not in flight": len(twice - self.in_flight),
            f"{self.duplicates} duplicates are more than calls in flight": self.duplicates > len(self.in_flight),
        }
        return [sentence for sentence, wrong in found.items() if wrong]

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "events": self.events,
            "inbox": {"accepted": self.accepted, "distinct": len(self.inbox), "duplicates": self.duplicates},
            "ledger": dict(Counter(self.ledger.values())),
            "lost": self.lost,
            "in_flight_at_the_kill": len(self.in_flight),
            "seconds": round(self.seconds, 1),
        }


def show(console: Console, account: Account) -> None:
    inbox, ledger = account.document()["inbox"], account.document()["ledger"]
    table = Table(title="The account", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "inbox", "ledger"):
        table.add_column(heading, justify="left" if not heading else "right")
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(ledger.items()))
    table.add_row("messages", str(inbox["accepted"]), statuses)
    table.add_row("distinct message ids", str(inbox["distinct"]), str(len(account.ledger)))
    table.add_row("duplicates", str(inbox["duplicates"]), f"at most {len(account.in_flight)}: claimed at the kill")
    table.add_row("lost", str(len(account.lost)), "")
    console.print(Padding(table, (1, 0)))
