"""Stop an import: whoever writes its rows finds it so with the next block."""

from datetime import UTC, datetime
from uuid import UUID

from notifications.database import Sessions, transaction
from notifications.imports.uploads import UnknownImportError
from notifications.statuses import ImportState
from notifications.tables import Import


async def cancel_import(sessions: Sessions, import_id: UUID) -> Import:
    """Cancelled, unless it has completed; its row then says so.

    Raises:
        UnknownImportError: there is none.

    """
    async with transaction(sessions) as session:
        row = await session.get(Import, import_id, with_for_update=True)
        if row is None:
            raise UnknownImportError(str(import_id))
        if not ImportState(row.state).is_final:
            row.state, row.finished_at = ImportState.CANCELLED, datetime.now(UTC)
            row.updated_at = row.finished_at
    return row
