"""The judge of the demo's campaign finds what does not agree."""

from typing import Any

import pytest

from devstack.demo.campaign import Judged


def judged(accepted: int = 90, duplicates: int = 0, targeted: int = 100, **counts: int) -> Judged:
    account: dict[str, Any] = {"targeted": targeted, "by_status": {"sent": 90, "skipped": 10} | counts}
    return Judged(account=account, recipients=100, accepted=accepted, duplicates=duplicates)


@pytest.mark.parametrize("accepted", [88, 89, 90])
def test_an_unknown_one_may_have_arrived_or_not(accepted: int) -> None:
    assert judged(accepted, sent=88, unknown=2).problems() == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (judged(89), "counted 89"),
        (judged(91), "counted 91"),
        (judged(duplicates=1), "1 mails came twice"),
        (judged(targeted=99), "99 of 100"),
        (judged(sent=80, accepted=80), "does not add up"),
        (judged(sent=89, accepted=89, pending=1), "not everybody"),
        (judged(sent=88, accepted=91, unknown=2), "counted 91"),
    ],
)
def test_what_does_not_agree_is_said(wrong: Judged, says: str) -> None:
    assert any(says in problem for problem in wrong.problems())
