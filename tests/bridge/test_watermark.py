"""Whatever ends in whatever order, no offset is committed before everything below it has ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.watermark import Watermark


def test_nothing_to_commit_before_the_first_record_ends() -> None:
    mark = Watermark()
    assert (mark.position, mark.to_commit, mark.in_flight) == (None, None, 0)
    mark.hand_out(5)
    assert (mark.position, mark.to_commit, mark.in_flight) == (5, None, 1)
    mark.finish(5)
    assert (mark.position, mark.to_commit, mark.in_flight) == (6, 6, 0)


def test_gaps_are_passed_over() -> None:
    mark = Watermark()
    for offset in (3, 9, 12):
        mark.hand_out(offset)
    mark.finish(9)
    assert mark.to_commit is None
    mark.finish(3)
    assert mark.to_commit == 10


def test_only_a_confirmed_offset_counts_as_committed() -> None:
    mark = Watermark()
    mark.hand_out(1)
    mark.finish(1)
    assert mark.to_commit == 2
    assert mark.to_commit == 2  # asked for again until the broker confirms
    mark.confirm(2)
    assert mark.to_commit is None
    mark.confirm(1)  # an older answer that comes late
    assert mark.to_commit is None


def test_two_assignments_are_not_mixed() -> None:
    mark = Watermark()
    mark.hand_out(7)
    for offset in (6, 7):
        with pytest.raises(ValueError, match="above"):
            mark.hand_out(offset)
    mark.finish(7)
    with pytest.raises(ValueError, match="above"):
        mark.hand_out(7)


@given(st.data())
def test_the_mark_follows_the_last_offset_below_which_all_has_ended(data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.sets(st.integers(0, 200), min_size=1, max_size=40)))
    order = data.draw(st.permutations(offsets))
    handed_out = data.draw(st.integers(1, len(offsets)))
    mark, ended = Watermark(), set[int]()
    for offset in offsets[:handed_out]:
        mark.hand_out(offset)
    later = iter(offsets[handed_out:])
    known = set(offsets[:handed_out])
    for offset in order:
        mark.finish(offset)
        mark.finish(offset)
        if offset in known:
            ended.add(offset)
        unfinished = known - ended
        assert mark.in_flight == len(unfinished)
        below = [known_offset for known_offset in known if known_offset < min(unfinished, default=1000)]
        assert mark.position == (max(below) + 1 if below else min(known))
        if (fresh := next(later, None)) is not None and mark.position is not None and fresh >= mark.position:
            mark.hand_out(fresh)
            known.add(fresh)
