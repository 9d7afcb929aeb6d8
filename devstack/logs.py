"""The output of all processes: each in a file of its own, the chosen ones on the terminal with a coloured prefix."""

from collections.abc import Collection
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
_WIDTH = 13


class Logs:
    """`quiet` names the processes that write to their file only."""

    def __init__(self, console: Console, folder: Path, *, quiet: Collection[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink()
        self._console = console
        self._folder = folder
        self._quiet = quiet
        self._files: dict[str, TextIO] = {}
        self._colours: dict[str, str] = {}

    def write(self, name: str, line: str) -> None:
        """Take one line of a process."""
        if name not in self._files:
            self._files[name] = (self._folder / f"{name}.log").open("a", buffering=1, encoding="utf-8")
            self._colours[name] = _COLOURS[len(self._colours) % len(_COLOURS)]
        self._files[name].write(f"{line}\n")
        if name not in self._quiet:
            prefix = Text(f"{name:<{_WIDTH}}│ ", style=self._colours[name])
            self._console.print(prefix + Text.from_ansi(line), soft_wrap=True, highlight=False)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
