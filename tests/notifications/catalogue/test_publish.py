import asyncio
import shutil
from pathlib import Path

import pytest

from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import ApplyReport, apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions
from tests.notifications.catalogue.folders import CATALOGUE, edit, make_folder


def _actions(report: ApplyReport) -> dict[str, tuple[str, int]]:
    return {item.name: (item.action, item.version) for item in report.changes if item.kind != "category"}


async def test_the_life_of_a_definition(tmp_path: Path, own_sessions: Sessions) -> None:
    refunded = make_folder(tmp_path, "order.refunded")
    make_folder(tmp_path, "order.paid")
    first = await apply_folder(tmp_path, own_sessions)
    assert _actions(first) == {"order.refunded": ("new", 1), "order.paid": ("new", 1)}
    assert first.revision == 1

    again = await apply_folder(tmp_path, own_sessions)
    assert not again.changed
    assert again.revision == 1

    text = refunded / "email.en.txt"
    edit(text, "this is about", "this tells you about")
    changed = await apply_folder(tmp_path, own_sessions)
    assert _actions(changed) == {"order.refunded": ("changed", 2), "order.paid": ("unchanged", 1)}
    assert changed.revision == 2

    edit(text, "this tells you about", "this is about")
    back = await apply_folder(tmp_path, own_sessions)
    assert _actions(back)["order.refunded"] == ("changed", 1), "the same content is the same version"

    kept = tmp_path.with_name(f"{tmp_path.name}-kept")
    shutil.move(refunded, kept)
    retired = await apply_folder(tmp_path, own_sessions)
    assert _actions(retired)["order.refunded"] == ("retired", 1)
    assert not (await apply_folder(tmp_path, own_sessions)).changed, "it is retired once"
    store = CatalogueStore(own_sessions)
    assert (await store.current()).find("order.refunded") is None
    assert (await store.version("order.refunded", 2)).templates.email["en"].text.count("this tells you about") == 1

    shutil.move(kept, refunded)
    restored = await apply_folder(tmp_path, own_sessions)
    assert _actions(restored)["order.refunded"] == ("restored", 1)


async def test_moved_lines_make_no_version_and_a_new_example_is_taken_over(
    tmp_path: Path, own_sessions: Sessions
) -> None:
    folder = make_folder(tmp_path)
    await apply_folder(tmp_path, own_sessions)
    edit(folder / "definition.yaml", "event:", "# a remark\n\nevent:")
    assert not (await apply_folder(tmp_path, own_sessions)).changed

    edit(folder / "example.json", "No. 1001", "No. 1002")
    report = await apply_folder(tmp_path, own_sessions)
    assert _actions(report) == {"order.refunded": ("example changed", 1)}
    example = (await CatalogueStore(own_sessions).current()).example("order.refunded")
    assert example is not None
    assert example["data"]["reference"] == "No. 1002"


async def test_categories_follow_the_folder(tmp_path: Path, own_sessions: Sessions) -> None:
    make_folder(tmp_path)
    (tmp_path / "categories.yaml").write_text(
        "order: {title: Orders, default: required, sender: {reply_to: shop@acme.example}}\nold: {title: Old}\n",
        encoding="utf-8",
    )
    await apply_folder(tmp_path, own_sessions)
    (tmp_path / "categories.yaml").write_text("order: {title: Your orders, default: required}\n", encoding="utf-8")
    report = await apply_folder(tmp_path, own_sessions)
    changes = {(item.kind, item.name): item.action for item in report.changes}
    assert changes == {
        ("category", "order"): "changed",
        ("category", "old"): "retired",
        ("definition", "order.refunded"): "changed",
    }
    catalogue = await CatalogueStore(own_sessions).current()
    assert {name: category.title for name, category in catalogue.categories.items()} == {"order": "Your orders"}


async def test_a_folder_with_a_problem_changes_nothing(tmp_path: Path, own_sessions: Sessions) -> None:
    make_folder(tmp_path, "order.refunded")
    await apply_folder(tmp_path, own_sessions)
    edit(make_folder(tmp_path, "order.paid") / "email.en.txt", "data.reference", "data.refrence")
    edit(tmp_path / "order.refunded" / "email.en.txt", "this is about", "this tells you about")
    with pytest.raises(CatalogueError, match=r"did you mean 'data\.reference'"):
        await apply_folder(tmp_path, own_sessions)
    catalogue = await CatalogueStore(own_sessions).current()
    assert {name: item.version for name, item in catalogue.definitions.items()} == {"order.refunded": 1}
    assert catalogue.revision == 1


async def test_publications_at_the_same_time_make_one_version(tmp_path: Path, own_sessions: Sessions) -> None:
    text = make_folder(tmp_path) / "email.en.txt"
    for revision in (1, 2):
        reports = await asyncio.gather(*(apply_folder(tmp_path, own_sessions) for _ in range(4)))
        assert sorted(report.changed for report in reports) == [False, False, False, True]
        assert {report.revision for report in reports} == {revision}
        edit(text, "this is about", "this is about this is about")


async def test_the_example_catalogue_is_published_and_read_back_as_it_is(own_sessions: Sessions) -> None:
    await apply_folder(CATALOGUE, own_sessions)
    catalogue = await CatalogueStore(own_sessions).current()
    payment = catalogue.find("com.acme.payment.succeeded.v1")
    assert payment is not None
    assert (payment.name, payment.version) == ("payment.succeeded", 1)
    assert catalogue.nearest("payment.suceeded") == "payment.succeeded"
    assert catalogue.nearest("xyz") is None
    otp = await CatalogueStore(own_sessions).version("auth.otp", 1)
    assert otp == catalogue.definitions["auth.otp"]
    assert otp.delivery.expire_after.total_seconds() == 600
