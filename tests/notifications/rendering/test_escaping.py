"""Whatever the data hold, the HTML has the tags and attributes that its author wrote."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.rendering.render import RenderContext, Renderer, RenderError
from notifications.rendering.text import has_unsafe_link, is_script
from notifications.statuses import Channel
from tests.notifications.rendering.definitions import definition, email, rendered

_RENDERER = Renderer()
_LAYOUT = {"layouts/mail.html": "<title>{{ data.x }}</title>{% block b %}{% endblock %}<i>{{ recipient.name }}</i>"}
_TEMPLATE = email(
    '{% extends "layouts/mail.html" %}{% block b %}'
    '<p class="{{ data.x }}">{{ data.x }} {{ data.x | upper }}</p>'
    '<p>{{ data.x | replace("a", data.x) }} {{ data.x ~ "<" }}</p>'
    "{% for row in [data.x, data.x] %}<b title='{{ row }}'>{{ row | truncate(5) }}</b>{% endfor %}"
    '{% set y = data.x + "" %}<em>{{ y | trim | title }}{{ [y, "&"] | join(y) }}{{ y | striptags }}</em>{% endblock %}',
    layouts=_LAYOUT,
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.seen: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, *(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        self.seen.append(("comment",))

    def handle_decl(self, decl: str) -> None:
        self.seen.append(("declaration",))


def _tags(value: str) -> list[tuple[str, ...]]:
    context = RenderContext(data={"x": value}, recipient={"name": value})
    content = _RENDERER.render(_TEMPLATE, Channel.EMAIL, context)
    parser = _Tags()
    parser.feed(content.html or "")  # type: ignore[union-attr]
    parser.close()
    return parser.seen


_WRITTEN = _tags("plain")


@given(st.text(max_size=60) | st.text(st.sampled_from("<>&\"'=/ ab!-[]`\n\t"), max_size=40))
def test_no_value_adds_a_tag_or_an_attribute(value: str) -> None:
    assert _tags(value) == _WRITTEN


def test_only_html_parts_are_escaped() -> None:
    content = rendered(email("{{ data.x }}", "{{ data.x }}", "{{ data.x }}"), {"x": "<b>&"})
    assert (content.html, content.text, content.subject) == ("&lt;b&gt;&amp;", "<b>&", "<b>&")
    push = definition({"push": {"en": {"title": "t", "body": "b", "data": {"x.html": "{{ data.x }}"}}}})
    assert rendered(push, {"x": "<b>&"}).data == {"x.html": "<b>&"}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " \n javascript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
    ],
)
def test_a_link_that_would_run_something_stops_the_message(url: str) -> None:
    with pytest.raises(RenderError, match="a link of the e-mail is not http"):
        rendered(email('<a href="{{ data.url }}">x</a>'), {"url": url})
    push = definition({"push": {"en": {"title": "t", "body": "b", "link": "{{ data.url }}"}}})
    with pytest.raises(RenderError, match="the link would run on the device"):
        rendered(push, {"url": url})


@pytest.mark.parametrize(
    "url", ["https://a.example/?q=a:b", "mailto:a@b.example", "tel:+49", "/path", "", "//a.example"]
)
def test_ordinary_links_pass(url: str) -> None:
    assert not has_unsafe_link(f"<a href=\"{url}\">x</a><img src='{url}'><a href={url}>")
    assert not is_script(url)


def test_an_apps_own_scheme_is_for_push_only() -> None:
    assert not is_script("acme://orders/1")
    assert has_unsafe_link("<a href='acme://orders/1'>")


@pytest.mark.parametrize(
    "html",
    [
        '<a href = "javascript:x">',
        "<a href\n=\t'javascript:x'>",
        "<a href= javascript:x>",
        "<A HREF=javascript:x>",
        "<img class=a src\u00a0=data:x>",
        '<form action="https://a.example"><td background=file:x>',
        "<a href=/a><a href='javascript:x'>",
        "<p data-n = 1 id=x><a href='javascript:x'>",
    ],
)
def test_a_link_is_found_however_its_attribute_is_written(html: str) -> None:
    assert has_unsafe_link(html)


@pytest.mark.parametrize(
    "html",
    [
        "<a href='https://a.example/?src=javascript:x'>",
        "<a href=https://a.example/?href=javascript:x>",
        "<a href='/a' title='javascript:x' style='color:red'>",
        "<p>href javascript:x, src: y</p>",
    ],
)
def test_what_only_looks_like_an_unsafe_link_passes(html: str) -> None:
    assert not has_unsafe_link(html)
