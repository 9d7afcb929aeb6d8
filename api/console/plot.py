"""How fast a campaign went, as a line: numbers for an SVG that is stretched to the width of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log10

from api.schemas.campaign_account import PaceView

WIDTH, HEIGHT = 600, 120
_SHORTEST = timedelta(seconds=30)  # of the time axis, so that the first points do not jump


@dataclass(frozen=True, slots=True)
class Plot:
    """`line` and `area` are paths, `limit` the height of the campaign's rate; None: it has none, or far above."""

    line: str
    area: str
    limit: float | None
    top: float
    begin: datetime
    end: datetime
    now: float
    highest: float


def plot(paces: Sequence[PaceView], rate: float | None) -> Plot | None:
    """None: too few to draw."""
    if len(paces) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    end = paces[-1].at
    begin = min(paces[0].at, end - _SHORTEST)
    highest = max(pace.per_second for pace in paces)
    top = _round_up(max(highest, rate if rate is not None and rate <= 2 * highest else 0))
    points = [(WIDTH * ((pace.at - begin) / (end - begin)), HEIGHT * (1 - pace.per_second / top)) for pace in paces]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    area = f"{line} L{points[-1][0]:.1f} {HEIGHT} L{points[0][0]:.1f} {HEIGHT} Z"
    limit = HEIGHT * (1 - rate / top) if rate is not None and rate <= top else None
    return Plot(line, area, limit, top, begin, end, paces[-1].per_second, highest)


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    if value <= 1:
        return 1
    power = 10.0 ** int(log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= ceil(value * 1000) / 1000)
