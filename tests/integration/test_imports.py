"""Imports on real servers: written by a workflow, and started again where nobody started it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from activities.starting import start_import
from activities.temporal import import_workflow_id
from notifications.database import transaction
from notifications.imports.uploads import NewImport, Uploads
from notifications.statuses import ImportFormat, ImportState
from notifications.tables import Import, Recipient
from tests.notifications.imports.support import stream
from tests.support.events import unique
from tests.support.integration import House, until
from tests.support.reconciling import reconcile


async def uploaded(house: House, data: bytes) -> UUID:
    uploads = Uploads(house.sessions, (await house.catalogue.current()).categories, max_bytes=1_000_000)
    return (await uploads.begin(NewImport(format=ImportFormat.CSV), stream(data))).id


async def find(house: House, import_id: UUID) -> Import:
    async with house.sessions() as session:
        row = await session.get(Import, import_id)
    assert row is not None
    return row


async def test_a_workflow_writes_the_rows(house: House) -> None:
    recipient = unique("cus")
    import_id = await uploaded(house, f"id,name\n{recipient},Ana\nx,\n".encode())
    for _ in range(2):
        await start_import(house.client, import_id)
    async with asyncio.timeout(30):
        result = await house.client.get_workflow_handle(import_workflow_id(import_id)).result()
    assert (result["rows"], result["finished"]) == (2, True)
    async with house.sessions() as session:
        kept = await session.get(Recipient, recipient)
    assert kept is not None
    assert kept.name == "Ana"


async def test_one_that_nobody_started_is_started_by_reconciliation(house: House) -> None:
    import_id = await uploaded(house, f"id\n{unique('cus')}\n".encode())
    assert (await reconcile(house)).started["import"] == 0, "its sender may be about to start it"
    async with transaction(house.sessions) as session:
        row = await session.get(Import, import_id)
        assert row is not None
        row.updated_at = datetime.now(UTC) - timedelta(minutes=5)
    assert (await reconcile(house)).started["import"] == 1

    async def completed() -> bool:
        return (await find(house, import_id)).state == ImportState.COMPLETED

    await until(completed)
