import asyncio
from pathlib import Path

import pytest

from notifications.catalogue.watch import watch
from tests.notifications.catalogue.folders import make_folder


async def test_a_saved_file_is_noticed_again_and_again(tmp_path: Path) -> None:
    file = make_folder(tmp_path) / "email.en.txt"
    changed = asyncio.Event()

    async def on_change() -> None:
        changed.set()

    watching = asyncio.create_task(watch(tmp_path, on_change))
    try:
        for round_number in range(2):
            changed.clear()
            async with asyncio.timeout(30):
                while not changed.is_set():  # the first saves may come before the watch has begun
                    file.write_text(f"text {round_number}", encoding="utf-8")
                    await asyncio.wait([asyncio.create_task(changed.wait())], timeout=1)
    finally:
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def on_change() -> None:
        raise AssertionError

    with pytest.raises(FileNotFoundError):
        await watch(tmp_path / "absent", on_change)
