"""What one run showed."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from tests.chaos.oracle import Account

PATIENCE = timedelta(minutes=3)


@dataclass(kw_only=True)
class Row:
    """`recovered` and `bound` in seconds; recovered None: not within three minutes."""

    fault: str
    seed: int
    account: Account
    recovered: float | None
    bound: float | None
    last: str  # the notification or campaign that settled last
    seconds: float  # the whole run

    @property
    def wrong(self) -> list[str]:
        late = []
        if self.recovered is None:
            late = [f"not settled within {PATIENCE.seconds} s"]
        elif self.bound is not None and self.recovered > self.bound:
            late = [f"recovered after {self.recovered:.1f} s, allowed are {self.bound:g} s; last was {self.last}"]
        return self.account.wrong + late

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"ok": not self.wrong}
