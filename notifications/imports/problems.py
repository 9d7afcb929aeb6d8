"""What is wrong with a file or with one of its rows, for who can mend it. Never holds a value."""

from collections.abc import Sequence

Problem = tuple[str, str]  # the column, and what to mend


class FileError(ValueError):
    """Nothing of the file can be imported."""


class RowError(ValueError):
    """A row cannot be imported; `columns` are those that are wrong, each once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{column}: {text}" for column, text in problems))
        self.columns = tuple(dict.fromkeys(column.partition("[")[0] for column, _ in problems))
        self.problems = tuple(problems)

    @classmethod
    def of(cls, column: str, text: str) -> "RowError":
        return cls([(column, text)])
