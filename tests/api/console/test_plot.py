"""The line of the rate: within its frame, to scale, and not drawn of too little."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console import render
from api.console.plot import HEIGHT, WIDTH, plot
from api.schemas.campaign_account import PaceView
from notifications.statuses import CampaignState

START = datetime(2027, 3, 1, 8, tzinfo=UTC)


def paces(*values: float) -> list[PaceView]:
    return [PaceView(at=START + timedelta(seconds=second), per_second=value) for second, value in enumerate(values)]


@pytest.mark.parametrize("values", [(), (3.0,)])
def test_too_few_points_are_no_line(values: tuple[float, ...]) -> None:
    assert plot(paces(*values), None) is None


def test_the_axis_is_long_enough_for_the_first_points_to_stay_where_they_are() -> None:
    drawn = plot(paces(0, 100), None)
    assert drawn is not None
    assert (drawn.end - drawn.begin, drawn.top, drawn.now, drawn.highest) == (timedelta(seconds=30), 100, 100, 100)
    assert drawn.line == f"M580.0 {HEIGHT}.0 L{WIDTH}.0 0.0"


@pytest.mark.parametrize(
    ("rate", "limit", "top"),
    [(50.0, 0.0, 50), (20.0, 72.0, 50), (80.0, 24.0, 100), (500.0, None, 50), (None, None, 50)],
)
def test_the_rate_is_drawn_where_it_is_near(rate: float | None, limit: float | None, top: float) -> None:
    drawn = plot(paces(40, 45), rate)
    assert drawn is not None
    assert (drawn.limit, drawn.top) == (limit if limit is None else pytest.approx(limit), top)


def test_what_has_ended_has_no_pace_now() -> None:
    def said(state: CampaignState) -> str:
        return render("parts/plot", plot=plot(paces(104, 7.25), None), campaign=SimpleNamespace(state=state))

    assert "<b>7.2</b> a second now, <b>104</b> at its fastest" in said(CampaignState.PAUSED)
    assert '<p class="total"><b>104</b> a second at its fastest</p>' in said(CampaignState.CANCELLED)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=120), st.none() | st.floats(0.001, 10_000))
def test_every_point_is_within_the_frame(values: list[float], rate: float | None) -> None:
    drawn = plot(paces(*values), rate)
    assert drawn is not None
    points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", drawn.line)]
    assert len(points) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert drawn.limit is None or 0 <= drawn.limit <= HEIGHT
