"""Templates that come as JSON: the same mistakes are found as in the folder, versions are immutable and stay."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore, UnknownVersionError
from notifications.catalogue.templates import (
    TemplateBody,
    keep_campaign_template,
    problems_of_template,
    publish_template,
    template_of,
)
from notifications.database import Sessions, transaction
from notifications.providers.base import EmailContent
from notifications.rendering.render import RenderContext, Renderer
from notifications.statuses import Channel
from tests.notifications.catalogue.folders import CATALOGUE
from tests.notifications.catalogue.folders import problems as problems_of_folder

SCHEMA = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "extra": {"type": "string"}},
    "required": ["code"],
}


def body_of(text: str = "Code {{ data.code }}. {{ links.unsubscribe }}", **changes: Any) -> TemplateBody:
    values: dict[str, Any] = {
        "default_locale": "en",
        "data": SCHEMA,
        "templates": {"email": {"en": {"subject": "Sale", "text": text}}},
        "example": {"code": "SPRING", "extra": "x"},
    }
    return TemplateBody.model_validate(values | changes)


def problems(body: TemplateBody, **layouts: str) -> list[str]:
    found = problems_of_template(template_of("sale", body, layouts), body.example)
    return [str(problem) for problem in found]


def test_a_good_template_has_none() -> None:
    assert problems(body_of()) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            body_of("one\n{{ data.cod }}"),
            "templates.email.en.text:2: 'data.cod' is undefined; did you mean 'data.code'?",
        ),
        (
            body_of("{{ data.extra }}"),
            (
                "templates.email.en.text:1: 'data.extra' is undefined when the optional fields are left out:"
                " use `is defined` or `| default(...)`"
            ),
        ),
        (body_of("{% frob %}"), "templates.email.en.text:1: Encountered unknown tag 'frob'."),
        (body_of(example={"code": 1}), "example.code:1: "),
        (body_of(data={"type": "objekt"}), "data.type:1: not valid JSON Schema"),
        (body_of(default_locale="de"), "templates.email:1: there is no email template in the default locale 'de'"),
        (body_of(templates={}), "templates:1: has no text for any channel"),
        (
            body_of("{% extends 'layouts/none.html' %}"),
            "templates.email.en.text:1: an HTML part extends an .html layout",
        ),
        (
            body_of(templates={"whatsapp": {"en": {"vendor_templates": {"meta": {"name": "x"}}}}}),
            "templates.whatsapp.en.vendor_templates.meta:1: 'meta' needs 'language'",
        ),
    ],
)
def test_a_mistake_is_told_by_its_place_and_line(body: TemplateBody, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems(body)), problems(body)


def test_layouts_are_those_given_and_then_those_of_the_folder() -> None:
    html = {"subject": "s", "text": "t", "html": "{% extends 'layouts/a.html' %}{% block b %}mine{% endblock %}"}
    body = body_of(templates={"email": {"en": html}}, layouts={"layouts/a.html": "{% extends 'layouts/b.html' %}"})
    folder = {
        "layouts/a.html": "not this",
        "layouts/b.html": "<p>{% block b %}{% endblock %}</p>",
        "layouts/c.html": "",
    }
    template = template_of("sale", body, folder)
    assert set(template.layouts) == {"layouts/a.html", "layouts/b.html"}
    content = Renderer().render(template, Channel.EMAIL, RenderContext(data={}))
    assert isinstance(content, EmailContent)
    assert content.html == "<p>mine</p>"
    assert "there is no layout 'layouts/b.html'" in problems(body)[0]


async def test_publishing_numbers_versions_and_keeps_them(own_sessions: Sessions) -> None:
    store = CatalogueStore(own_sessions, clock=lambda: 0.0)
    numbers = []
    for text in ("one", "two", "one"):
        async with transaction(own_sessions) as session:
            numbers.append(await publish_template(session, "sale", body_of(text)))
    assert numbers == [1, 2, 1], "the same content is the same version"
    assert (await store.current()).templates["sale"].version == 1
    assert (await store.template_version("sale", 2)).templates.email["en"].text == "two"
    with pytest.raises(UnknownVersionError, match="the template 'sale' has no version 3"):
        await store.template_version("sale", 3)
    with pytest.raises(UnknownVersionError, match="the definition 'sale' has no version 1"):
        await store.version("sale", 1)


async def test_one_with_problems_is_not_published(own_sessions: Sessions) -> None:
    with pytest.raises(CatalogueError, match=r"templates\.email\.en\.text"):
        async with transaction(own_sessions) as session:
            await publish_template(session, "sale", body_of("{{ data.cod }}"))
    assert (await CatalogueStore(own_sessions).current()).revision == 0


async def test_the_folder_leaves_alone_what_came_otherwise_and_takes_over_its_own_names(
    tmp_path: Path, own_sessions: Sessions
) -> None:
    for name in ("sale", "spring-sale"):
        async with transaction(own_sessions) as session:
            await publish_template(session, name, body_of())
    first = {item.name: (item.action, item.version) for item in (await apply_folder(CATALOGUE, own_sessions)).changes}
    assert first["spring-sale"] == ("changed", 2)
    assert "sale" not in first
    assert not (await apply_folder(CATALOGUE, own_sessions)).changed
    assert set((await CatalogueStore(own_sessions).current()).templates) == {"sale", "spring-sale"}


async def test_a_campaign_s_own_content_is_a_version_that_no_list_shows(own_sessions: Sessions) -> None:
    campaign = uuid4()
    for _ in range(2):
        async with transaction(own_sessions) as session:
            assert await keep_campaign_template(session, campaign, body_of()) == (f"campaign-{campaign}", 1)
    store = CatalogueStore(own_sessions)
    kept = await store.template_version(f"campaign-{campaign}", 1)
    assert kept.templates == body_of().templates
    assert (await store.current()).templates == {}
    assert not any(
        change.kind == "template"
        for change in (await apply_folder(CATALOGUE, own_sessions)).changes
        if change.name.startswith("campaign-")
    )


def test_a_name_of_the_folder_must_not_look_like_a_campaign_s(tmp_path: Path) -> None:
    folder = tmp_path / "templates" / "campaign-x"
    folder.mkdir(parents=True)
    text = "default_locale: en\ndata: {type: object}\ntemplates: {sms: {en: {body: Hello}}}\n"
    (tmp_path / "categories.yaml").write_text("offers: {title: Offers}\n", encoding="utf-8")
    (folder / "template.yaml").write_text(text, encoding="utf-8")
    assert "'campaign-x' is no name of a template" in problems_of_folder(tmp_path)[0]
