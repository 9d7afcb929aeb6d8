"""Which offset of a partition may be committed when work on its records ends out of order. Pure."""

from collections import OrderedDict


class Watermark:
    """Offsets of one partition of one assignment: handed out in rising order, finished in any.

    What may be committed follows the last offset below which all has ended. Gaps between the offsets handed out
    (transaction markers, compacted records) are no work and hold nothing up.
    """

    __slots__ = ("_committed", "_finished", "_open", "_position")

    def __init__(self) -> None:
        self._open: OrderedDict[int, None] = OrderedDict()
        self._finished: set[int] = set()
        self._position: int | None = None
        self._committed: int | None = None

    @property
    def in_flight(self) -> int:
        """Records handed out whose work has not ended."""
        return len(self._open) - len(self._finished)

    @property
    def position(self) -> int | None:
        """What a commit may say: everything below has ended; None before the first record."""
        return self._position

    @property
    def to_commit(self) -> int | None:
        """The offset to commit now, or None when the broker has confirmed it."""
        return None if self._position == self._committed else self._position

    def hand_out(self, offset: int) -> None:
        """Work on a record begins.

        Raises:
            ValueError: not above the last one; the caller mixed two assignments.

        """
        last = next(reversed(self._open), None)
        if (last is not None and offset <= last) or (self._position is not None and offset < self._position):
            message = f"offset {offset} is not above those handed out before"
            raise ValueError(message)
        if self._position is None:
            self._position = self._committed = offset
        self._open[offset] = None

    def finish(self, offset: int) -> None:
        """Work on a record has ended; an offset that is not open is ignored."""
        if offset not in self._open:
            return
        self._finished.add(offset)
        while self._open:
            first = next(iter(self._open))
            if first not in self._finished:
                break
            del self._open[first]
            self._finished.discard(first)
            self._position = first + 1

    def confirm(self, offset: int) -> None:
        """The broker confirmed a commit; only this counts as committed."""
        if self._committed is None or offset > self._committed:
            self._committed = offset
