"""The refused rows of an import as a CSV file: why, what to do, and the row, to be mended and imported as it is."""

import csv
import io
from collections.abc import AsyncIterator, Iterable

from notifications.database import Sessions
from notifications.imports.columns import REFUSED
from notifications.imports.rows import FORMULA, csv_cells
from notifications.queries import imports as queries
from notifications.tables import Import, ImportRefusal

_PAGE = 500
_FACTS = tuple(f"{REFUSED}{name}" for name in ("line", "column", "problem"))
_ROW = f"{REFUSED}row"  # the row as it came, where its cells cannot be told apart


async def refused_rows(sessions: Sessions, of: Import) -> AsyncIterator[bytes]:
    """The file in pieces, by line; rows that are refused while it is read come with it or not."""
    titles = of.columns or []
    yield _encoded([[*_FACTS, *titles, _ROW]])
    after = 0
    while True:
        async with sessions() as session:
            page = await queries.refusals(session, of.id, after=after, limit=_PAGE)
        if not page:
            return
        after = page[-1].line
        yield _encoded([row.line, row.column, row.problem, *_cells(row, titles, of.delimiter)] for row in page)


def _cells(row: ImportRefusal, titles: list[str], delimiter: str | None) -> list[str]:
    """The cells of the row's columns, and the last one for a row without."""
    if titles and delimiter:
        try:
            cells = csv_cells(row.content, delimiter)
        except csv.Error:
            cells = []
        if len(cells) == len(titles):
            return [*cells, ""]
    return ["" for _ in titles] + [row.content.rstrip("\r\n")]


def _encoded(rows: Iterable[Iterable[object]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([harmless(str(cell)) for cell in row] for row in rows)
    return out.getvalue().encode()


def harmless(cell: str) -> str:
    """With an apostrophe before what a spreadsheet would take for a formula; an import takes it off again."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
