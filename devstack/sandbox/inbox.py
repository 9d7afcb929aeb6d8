"""What the sandbox accepted: bounded, in memory, counted per key so that a duplicate shows."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import uuid4

Content = dict[str, Any]

_KEYS_REMEMBERED = 200_000  # about 40 MB; a key outlives its entry, so that late duplicates are seen
_ARRIVALS_REMEMBERED = 200_000  # about 6 MB
_DUPLICATES_LISTED = 100
_FEED_SIZE = 500  # events a slow viewer may lag behind before it has to load the page again


@dataclass(frozen=True)
class Accepted:
    """One message as a vendor took it.

    `content` is made on first use, since parsing costs more than accepting. `key` is what the sender put into the
    vendor's slot for its own reference (None: nothing), `correlation` the second such slot where there is one.
    `size` is in bytes.
    """

    provider: str
    channel: str
    to: str
    key: str | None
    parse: Callable[[], Content]
    size: int
    correlation: str | None = None
    provider_message_id: str | None = None
    id: str = field(default_factory=lambda: uuid4().hex)
    received: float = field(default_factory=time.time)

    @cached_property
    def content(self) -> Content:
        return self.parse()


class Signal(Enum):
    """What else a viewer hears besides messages."""

    RELOAD = "reload"  # the list has changed as a whole, or this viewer was too slow: load it again
    BOARD = "board"  # a switch or a fault knob was turned


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Every field that is given has to match; `since` is in seconds since the epoch."""

    channel: str | None = None
    provider: str | None = None
    to: str | None = None
    key: str | None = None
    since: float | None = None

    def matches(self, entry: Accepted) -> bool:
        return (
            self.channel in (None, entry.channel)
            and self.provider in (None, entry.provider)
            and (self.to is None or self.to.casefold() == entry.to.casefold())
            and self.key in (None, entry.key)
            and (self.since is None or entry.received >= self.since)
        )


class Inbox:
    """Keeps the newest `max_entries`, and of these no more than `max_bytes`."""

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int = 128 * 2**20) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Accepted] = OrderedDict()
        self._bytes = 0
        self._by_key: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._duplicates: dict[tuple[str, str], int] = {}  # those of `_by_key` that came more than once
        self._accepted: Counter[str] = Counter()
        self._arrivals: deque[tuple[str, float]] = deque(maxlen=_ARRIVALS_REMEMBERED)
        self._feeds: set[asyncio.Queue[Accepted | Signal]] = set()

    def add(self, entry: Accepted) -> None:
        self._entries[entry.id] = entry
        self._bytes += entry.size
        self._accepted[entry.provider] += 1
        self._arrivals.append((entry.provider, entry.received))
        if entry.key is not None:
            self._count(_identity(entry.key, entry.to))
        while len(self._entries) > self._max_entries or (self._bytes > self._max_bytes and len(self._entries) > 1):
            self._bytes -= self._entries.popitem(last=False)[1].size
        self.announce(entry)

    def _count(self, identity: tuple[str, str]) -> None:
        times = self._by_key[identity] = self._by_key.get(identity, 0) + 1
        self._by_key.move_to_end(identity)
        if times > 1:
            self._duplicates[identity] = times
        if len(self._by_key) > _KEYS_REMEMBERED:
            self._duplicates.pop(self._by_key.popitem(last=False)[0], None)

    def announce(self, news: Accepted | Signal) -> None:
        """Tell every viewer; one that lags too far behind is cut off with RELOAD."""
        for feed in list(self._feeds):
            if feed.full():
                self._feeds.discard(feed)
                feed.get_nowait()
                feed.put_nowait(Signal.RELOAD)
            else:
                feed.put_nowait(news)

    def find(self, wanted: Filter, limit: int = 100) -> list[Accepted]:
        """The newest first."""
        found: deque[Accepted] = deque()
        for entry in reversed(self._entries.values()):
            if len(found) >= limit:
                break
            if wanted.matches(entry):
                found.append(entry)
        return list(found)

    def count(self, wanted: Filter) -> int:
        return sum(wanted.matches(entry) for entry in self._entries.values())

    def get(self, entry_id: str) -> Accepted | None:
        return self._entries.get(entry_id)

    def times_accepted(self, entry: Accepted) -> int:
        """How often its key was accepted for its address, by whichever provider."""
        return 1 if entry.key is None else self._by_key.get(_identity(entry.key, entry.to), 1)

    def totals(self) -> dict[str, Any]:
        """Since the start or the last `clear`, entries that fell out included."""
        newest = list(self._duplicates.items())[-_DUPLICATES_LISTED:]
        return {
            "accepted": self._accepted.total(),
            "accepted_by_provider": dict(self._accepted),
            "distinct_keys": len(self._by_key),
            "duplicated_keys": len(self._duplicates),
            "duplicates": {key: times for (key, _), times in newest},
        }

    def arrivals(self, provider: str | None) -> list[float]:
        """When messages were accepted, in seconds since the epoch, oldest first; entries that fell out included."""
        return [received for name, received in self._arrivals if provider in (None, name)]

    def clear(self) -> int:
        """Forget everything; answers how many entries were kept."""
        cleared = len(self._entries)
        self._entries.clear()
        self._by_key.clear()
        self._duplicates.clear()
        self._accepted.clear()
        self._arrivals.clear()
        self._bytes = 0
        self.announce(Signal.RELOAD)
        return cleared

    @contextmanager
    def feed(self) -> Iterator[asyncio.Queue[Accepted | Signal]]:
        """Entries and signals as they come; nothing comes after a RELOAD that was meant for a slow viewer."""
        feed: asyncio.Queue[Accepted | Signal] = asyncio.Queue(_FEED_SIZE)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def document(self, entry: Accepted) -> dict[str, Any]:
        """The entry as the JSON API shows it."""
        return {
            "id": entry.id,
            "provider": entry.provider,
            "channel": entry.channel,
            "to": entry.to,
            "received_at": datetime.fromtimestamp(entry.received, UTC).isoformat(timespec="milliseconds"),
            "key": entry.key,
            "correlation": entry.correlation,
            "accepted_with_key": self.times_accepted(entry),
            "provider_message_id": entry.provider_message_id,
            "content": entry.content,
        }


def _identity(key: str, to: str) -> tuple[str, str]:
    """One key and two addresses are two messages: a mail may have several recipients."""
    return key, to.casefold()
