"""Mistakes in the files of a folder, each with the line that is to be mended."""

from pathlib import Path

import pytest

from notifications.catalogue.definition import Definition, StandaloneTemplate
from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import load_folder
from notifications.statuses import Channel, DuplicatePolicy
from tests.notifications.catalogue.folders import edit, make_folder, problems


def _line_of(file: Path, text: str) -> int:
    return file.read_text(encoding="utf-8").splitlines().index(text) + 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("category: order ", "categroy: order ", "definition.yaml:3: unknown key 'categroy'; did you mean 'category'?"),
        ("category: order ", "category: order\nquiet_hours: 22-6 ", "definition.yaml:4: unknown key 'quiet_hours'"),
        ("category: order ", "category: order\ncaps: {per_day: 3} ", "definition.yaml:4: unknown key 'caps'"),
        ("category: order ", "category: order\nversion: 3 ", "definition.yaml:4: unknown key 'version'"),
        ("title: ", "titel: ", "unknown key 'titel'; did you mean 'title'?"),
        (
            'title: "Order refunded"',
            "title: 1.10",
            'must be text, but 1.10 is read as a number: write "1.10" in quotes',
        ),
        ('title: "Order refunded"', "title: true", "must be text, but true is read as a boolean"),
        (
            "category: order ",
            "category: orders ",
            "definition.yaml:3: there is no category 'orders'; did you mean 'order'?",
        ),
        ("type: transactional", "type: urgent", "definition.yaml:2: 'type': Input should be 'transactional'"),
        ("mode: all", "mode: both", "definition.yaml:5: 'routing.mode': Input should be 'all' or 'fallback'"),
        ("default_locale: en\n", "", "definition.yaml:1: 'default_locale' is missing"),
        ("html: email.en.html", "html: email.de.html", "there is no file 'email.de.html' in this folder; did you mean"),
        ("html: email.en.html", "html: ../email.en.html", "there is no file '../email.en.html' in this folder"),
        (
            "category: order ",
            "category: order\ndelivery: {retry_for: 30} ",
            "definition.yaml:4: 'delivery.retry_for': 30 is not a duration",
        ),
        ("event: order.refunded", "event: order refunded", "definition.yaml:1: 'event': String should match pattern"),
    ],
)
def test_a_mistake_in_a_definition(tmp_path: Path, old: str, new: str, expected: str) -> None:
    folder = make_folder(tmp_path)
    edit(folder / "definition.yaml", old, new)
    assert any(expected in problem for problem in problems(tmp_path)), problems(tmp_path)


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    first, second = make_folder(tmp_path), make_folder(tmp_path, "order.paid")
    edit(first / "definition.yaml", "type: transactional", "typ: transactional")
    edit(second / "email.en.html", "data.reference", "data.referense")
    (second / "example.json").write_text('{\n"type": "order.paid",\n}', encoding="utf-8")
    (tmp_path / "broken").mkdir()
    found = "\n".join(problems(tmp_path))
    assert "order.refunded/definition.yaml:2: unknown key 'typ'; did you mean 'type'?" in found
    assert "order.refunded/definition.yaml:1: 'type' is missing" in found
    assert "order.paid/example.json:" in found
    assert "not valid JSON" in found
    assert "broken/definition.yaml:1: this file is missing" in found


@pytest.mark.parametrize("content", ["", "- a\n", "text"])
def test_a_definition_that_is_no_mapping(tmp_path: Path, content: str) -> None:
    (make_folder(tmp_path) / "definition.yaml").write_text(content, encoding="utf-8")
    assert problems(tmp_path) == ["order.refunded/definition.yaml:1: must be a mapping of keys"]


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = make_folder(tmp_path) / "email.en.txt"
    file.write_bytes(b"one\ntwo \xe4\n")
    assert problems(tmp_path) == ["order.refunded/email.en.txt:2: is not UTF-8 text"]


def test_broken_categories_are_told_without_blaming_each_definition(tmp_path: Path) -> None:
    make_folder(tmp_path)
    edit(tmp_path / "categories.yaml", "default: required", "defalt: required")
    assert problems(tmp_path) == ["categories.yaml:3: unknown key 'defalt'; did you mean 'default'?"]


@pytest.mark.parametrize(("name", "message"), [("absent", "there is no such folder"), ("", "holds no definition")])
def test_a_folder_without_a_catalogue_is_refused_so_that_nothing_is_retired_by_a_typing_error(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(CatalogueError, match=message):
        load_folder(tmp_path / name)


def test_a_key_of_json_that_stands_twice(tmp_path: Path) -> None:
    file = make_folder(tmp_path) / "example.json"
    edit(file, '"recipient": "cus_42"', '"recipient": "cus_42", "recipient": "cus_43"')
    assert any("'recipient' stands twice" in problem for problem in problems(tmp_path))


def test_what_a_definition_leaves_out_comes_from_its_type(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    edit(folder / "definition.yaml", "category: order ", "category: order\ndelivery: {retry_for: 2m} ")
    content = load_folder(tmp_path).loaded[0].content
    assert isinstance(content, Definition)
    assert content.delivery.retry_for.total_seconds() == 120
    assert content.delivery.expire_after.total_seconds() == 72 * 3600
    assert content.delivery.duplicates is DuplicatePolicy.AT_LEAST_ONCE


def test_parts_are_inlined_and_each_source_knows_where_it_was_written(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    content = load_folder(tmp_path).loaded[0].content
    assert content.templates.email["en"].text == (folder / "email.en.txt").read_text(encoding="utf-8")
    assert content.origins["email.en.text"] == "order.refunded/email.en.txt:1"
    title = _line_of(folder / "definition.yaml", '      title: "Order refunded"')
    assert content.origins["push.en.title"] == f"order.refunded/definition.yaml:{title}"


def test_layouts_are_read_with_those_that_they_extend(tmp_path: Path) -> None:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "base.html").write_text("<html>{% block content %}{% endblock %}</html>", encoding="utf-8")
    (tmp_path / "layouts" / "email.html").write_text(
        '{% extends "layouts/base.html" %}{% block content %}{% endblock %}', encoding="utf-8"
    )
    make_folder(tmp_path, channels=(Channel.EMAIL,))
    assert set(load_folder(tmp_path).loaded[0].content.layouts) == {"layouts/base.html", "layouts/email.html"}


def test_a_stand_alone_template_has_no_event_and_a_namespace_of_its_own(tmp_path: Path) -> None:
    make_folder(tmp_path, "spring-sale")
    folder = tmp_path / "templates" / "spring-sale"
    folder.mkdir(parents=True)
    (folder / "template.yaml").write_text(
        "default_locale: en\n"
        "data: {type: object, required: [discount], properties: {discount: {type: string}}}\n"
        "templates: {sms: {en: {body: 'Everything {{ data.discount }} off'}}}\n",
        encoding="utf-8",
    )
    assert problems(tmp_path) == ["templates/spring-sale/example.json:1: data lacks discount"]
    (folder / "example.json").write_text('{"data": {"discount": "20 %"}}', encoding="utf-8")
    kinds = {(item.content.kind, item.content.name) for item in load_folder(tmp_path).loaded}
    assert kinds == {("definition", "spring-sale"), ("template", "spring-sale")}
    assert any(isinstance(item.content, StandaloneTemplate) for item in load_folder(tmp_path).loaded)
    edit(folder / "template.yaml", "default_locale: en\n", "default_locale: en\nrouting: {}\n")
    assert problems(tmp_path) == ["templates/spring-sale/template.yaml:2: unknown key 'routing'"]
