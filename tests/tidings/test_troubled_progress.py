"""What holds a long command up is said once, with bars and without."""

import pytest
from rich.progress import TextColumn
from rich.text import Text

from tidings.troubled_progress import TroubledProgress


@pytest.mark.parametrize("quiet", [False, True])
def test_without_a_terminal_each_new_trouble_is_a_line(*, capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    progress = TroubledProgress(TextColumn("{task.description}"), quiet=quiet)
    for why in ("away", "away", "", "away", "still away"):
        progress.trouble(why)
    seen = capsys.readouterr()
    assert (seen.err.splitlines(), seen.out) == (["away", "away", "still away"], "")


def test_on_a_terminal_it_is_below_the_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    progress = TroubledProgress(TextColumn("{task.description}"), quiet=False)
    progress.add_task("sending", total=1)
    progress.trouble("the API does not answer")
    below = list(progress.get_renderables())[-1]
    assert isinstance(below, Text)
    assert below.plain == "the API does not answer"
    progress.trouble("")
    assert len(list(progress.get_renderables())) == 1
    assert capsys.readouterr().err == ""
