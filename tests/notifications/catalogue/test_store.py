from pathlib import Path

import pytest
from sqlalchemy import event

from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore, UnknownVersionError
from notifications.database import Sessions
from tests.notifications.catalogue.folders import edit, make_folder


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_an_empty_database_has_an_empty_catalogue(own_sessions: Sessions) -> None:
    catalogue = await CatalogueStore(own_sessions).current()
    assert (catalogue.revision, catalogue.definitions, catalogue.find("x")) == (0, {}, None)
    assert catalogue.example("x") is None


async def test_a_change_is_seen_after_a_second_and_nothing_is_read_before(
    tmp_path: Path, own_sessions: Sessions
) -> None:
    clock = _Clock()
    store = CatalogueStore(own_sessions, clock=clock)
    folder = make_folder(tmp_path)
    await apply_folder(tmp_path, own_sessions)
    first = await store.current()
    edit(folder / "email.en.txt", "this is about", "this tells you about")
    await apply_folder(tmp_path, own_sessions)

    clock.now += 0.9
    assert await store.current() is first
    clock.now += 0.2
    second = await store.current()
    assert second.definitions["order.refunded"].version == 2
    clock.now += 1.1
    assert await store.current() is second, "an unchanged revision is not loaded again"


async def test_a_version_is_read_once(tmp_path: Path, own_sessions: Sessions) -> None:
    make_folder(tmp_path)
    await apply_folder(tmp_path, own_sessions)
    store = CatalogueStore(own_sessions)
    first = await store.version("order.refunded", 1)
    statements: list[str] = []
    async with own_sessions() as session:
        engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    assert await store.version("order.refunded", 1) is first
    assert statements == []


async def test_a_version_that_was_never_published(own_sessions: Sessions) -> None:
    with pytest.raises(UnknownVersionError, match=r"'order\.refunded' has no version 7"):
        await CatalogueStore(own_sessions).version("order.refunded", 7)
