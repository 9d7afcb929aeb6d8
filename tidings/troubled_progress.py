"""Progress bars that say below them what holds them up."""

from collections.abc import Iterable

import typer
from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.text import Text
from typing_extensions import override


class TroubledProgress(Progress):
    """On stderr. Where nobody sees bars, without a terminal or with `quiet`, each new trouble is a line."""

    def __init__(self, *columns: str | ProgressColumn, quiet: bool) -> None:
        self._trouble = ""
        super().__init__(*columns, console=Console(stderr=True, highlight=False), disable=quiet)

    @override
    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self._trouble:
            yield Text(self._trouble, style="yellow")

    def trouble(self, why: str) -> None:
        """Nothing moves because of this; an empty text: it moves again."""
        if why != self._trouble:
            self._trouble = why
            if why and (self.disable or not self.console.is_terminal):
                typer.echo(why, err=True)
