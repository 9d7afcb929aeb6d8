"""What templates cannot do: reach Python, or eat time and memory."""

import pytest

from notifications.rendering.language import MAX_TEXT
from notifications.rendering.render import RenderError
from tests.notifications.rendering.definitions import body, email, rendered

_LONG = "x" * 1000


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ data.__class__ }}",
        "{{ data['__class__']['__base__'] }}",
        "{{ data.text.format.__globals__ }}",
        "{{ '{0.__class__}'.format(data) }}",
        "{{ '{x.__class__}'.format_map(data) }}",
        "{{ data.text | attr('format') }}",
        "{{ ['format'] | map('attr', '__class__') | list }}",
        "{{ data | map(attribute='__class__') | join }}",
        "{{ range.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__ }}",
        "{{ joiner() }}",
        "{{ namespace() }}",
        "{{ dict() }}",
        "{{ money.__globals__ }}",
        "{{ data.update({'a': 1}) }}",
        "{{ data.pop('text') }}",
        "{{ data.list.append(1) }}",
        "{{ data.list.clear() }}",
        "{{ super.__func__ }}",
        "{% set x = data.text.__class__ %}{{ x }}",
        "{% include 'layouts/email.html' %}",
        "{% import 'x' as x %}",
        "{% from 'x' import y %}",
        "{% extends data.text %}",
        "{% extends '../../etc/passwd' %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% call data.text() %}{% endcall %}",
        "{% autoescape false %}x{% endautoescape %}",
        "{% filter upper %}x{% endfilter %}",
        "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}",
        "{% for x in [[1]] recursive %}{{ loop(x) }}{% endfor %}",
        "{{ data.text | safe }}",
        "{{ data.text | xmlattr }}",
        "{{ data.text | tojson }}",
        "{{ data.text | pprint }}",
        "{{ data.text.encode() }}",
        "{{ data.list.sort(key=data.text) }}",
        "{{ data.text | _counted }}",
        "{{ range(*data.list) }}",
    ],
)
def test_the_inside_of_python_is_out_of_reach(source: str) -> None:
    data = {"text": "text", "list": [1], "x": "x"}
    with pytest.raises(RenderError):
        body(source, data)
    assert data == {"text": "text", "list": [1], "x": "x"}


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ range(1000000000) | list }}",
        "{{ range(1001) | join }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a'.zfill(1000000000) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 'x' | replace('', data.long) | replace('x', data.long) | replace('x', data.long) }}",
        "{{ range(1000) | join(data.long) }}",
        "{{ ['a'] | batch(1000000000, 'b') | list }}",
        "{% set a = data.long %}" + "{% set a = a ~ a %}" * 20 + "{{ a | length }}",
        "{% set a = data.long %}" + "{% set a = a + a %}" * 20 + "{{ a | length }}",
        "{% set a = [1] %}" + "{% set a = a + a %}" * 30 + "{{ a | length }}",
        "{% set a %}{{ data.long }}{% endset %}",
        "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}" + "{% endfor %}" * 3,
        "{% for a in range(1000) %}{{ data.long }}{% endfor %}",
        "{% for a in range(100) %}{% for b in range(1000) %}{% if a > 200 %}x{% endif %}{% endfor %}{% endfor %}",
    ],
)
def test_time_and_memory_are_bounded(source: str) -> None:
    with pytest.raises(RenderError) as caught:
        body(f"{source}end", {"long": _LONG})
    assert "gives an empty text" not in str(caught.value)


def test_a_text_up_to_the_limit_is_rendered_and_the_budget_is_new_for_each_part() -> None:
    loop = "{% for a in range(1000) %}{% for b in range(15) %}x{% endfor %}{% endfor %}"
    content = rendered(email(f"<p>{loop}</p>", loop))
    assert len(content.text) == 15_000
    assert len(body("{{ data.long }}", {"long": "x" * MAX_TEXT})) == MAX_TEXT
    with pytest.raises(RenderError, match="grows beyond"):
        body("{{ data.long }}", {"long": "x" * (MAX_TEXT + 1)})


def test_what_templates_can_do() -> None:
    source = (
        "{% set total = 2 * 3 + 7 % 4 - 1 %}{{ total }}"
        "{% for row in data.rows | sort(attribute='n') %}{{ loop.index }}/{{ loop.length }}:{{ row.n }}"
        "{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}"
        "{{ 'a' ~ data.x }}{{ data.x.upper() }}{{ data.x | replace('b', 'c') | truncate(10) }}"
        "{{ ['a', 'b'] | join(', ') }}{{ data.rows | map(attribute='n') | sum }}"
        "{{ 'yes' if data.x == 'b' else 'no' }}{{ data.none is none }}"
    )
    data = {"rows": [{"n": 2}, {"n": 1}], "x": "b", "none": None}
    assert body(source, data) == "81/2:1, 2/2:2abBca, b3yestrue"


@pytest.mark.parametrize(
    ("html", "layout"),
    [
        ('{% extends "layouts/mail.txt" %}', "layouts/mail.txt"),
        ('{% extends "email.en.subject" %}', "layouts/mail.html"),
    ],
)
def test_an_html_part_cannot_extend_what_is_not_escaped(html: str, layout: str) -> None:
    with pytest.raises(RenderError, match=r"only \.html is escaped"):
        rendered(email(html, layouts={layout: "{{ data.x }}"}), {"x": "<b>"})
