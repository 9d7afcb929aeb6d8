"""Conditions as SQL mean what they mean in Python, whatever the profiles hold."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.compile import compile_condition
from notifications.audiences.conditions import parse_condition
from notifications.database import Sessions, execute
from tests.support.audiences import add_recipients, holds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 1.0, 2.5, -3, 10**20, 1e-7, "", "pro", "pro plus", "1", "true", "null", "%", "é"),
    *("2026-11-22", "2026-11-22T13:00:00+01:00", "2026-11-22T12:00:00.5Z", "2026-02-31", "2026-11-22T25:00:00Z"),
    *("2026-11-22 12:00:00Z", "now", "infinity", "2026-11-22T12:00:00", "2025-01-01T00:00Z", "2026-11-22T24:01:00Z"),
    *([], ["pro"], ["pro", 1], {}, {"b": "pro"}, {"b": 1, "0": "pro"}, {"b": None}, {"b": {"c": "pro"}}),
]
TEXTS = [None, "de", "de-AT", "en", "pro", "%", "de_", "2026-11-22"]


def profiles() -> list[dict[str, Any]]:
    """Every value below every name, and texts in every column."""
    rows: list[dict[str, Any]] = [{"attributes": {name: value}} for value in VALUES for name in ("a", "0", "a.b")]
    rows += [{name: text} for text in TEXTS for name in ("name", "email", "phone", "locale", "timezone")]
    rows += [{"created_at": NOW + timedelta(days=days)} for days in (-40, -30, -1, 0, 1)]
    rows += [{"attributes": {"a": value, "0": other}} for value, other in zip(VALUES, reversed(VALUES), strict=True)]
    empty = dict.fromkeys(("name", "email", "phone", "locale", "timezone")) | {"attributes": {}}
    times = {"created_at": NOW, "updated_at": NOW}
    return [empty | times | {"id": f"judged-{number:04}"} | row for number, row in enumerate(rows)]


@pytest.fixture
async def session(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """Recipients that no other test sees."""
    async with sessions() as session:
        await add_recipients(session, profiles())
        yield session


async def found(session: AsyncSession, document: Any) -> set[str]:
    where = compile_condition(parse_condition(document), NOW)
    statement = f"SELECT r.id FROM recipients r WHERE r.id LIKE 'judged-%' AND {where.sql}"
    return set((await execute(session, statement, where.parameters)).scalars())


def expected(document: Any) -> set[str]:
    condition = parse_condition(document)
    return {profile["id"] for profile in profiles() if holds(condition, profile, NOW)}


ATTRIBUTES = ("attributes.a", "attributes.0", "attributes.a.b", "attributes.a.0", "attributes.a.b.c")
SCALARS = [value for value in VALUES if isinstance(value, str | int | float) and value != 10**20]
INSTANTS: list[Any] = ["2026-11-22", "2026-11-22T12:00:00Z", "2026-11-22T13:00:00.5+01:00", {"now": "PT0S"}]
INSTANTS += [{"now": "-P30D"}]

_attribute = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne"]), st.sampled_from(SCALARS)),
    st.tuples(st.just("in"), st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4)),
    st.tuples(st.just("in"), st.lists(st.sampled_from(SCALARS), min_size=21, max_size=25)),
    st.tuples(st.just("prefix"), st.sampled_from([text for text in SCALARS if isinstance(text, str) and text])),
    st.tuples(st.sampled_from(["lt", "lte", "gt", "gte"]), st.sampled_from([0, 1, 2.5, -3, *INSTANTS])),
    st.tuples(st.just("exists"), st.booleans()),
)
_text = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne", "prefix"]), st.sampled_from([text for text in TEXTS if text])),
    st.tuples(st.just("in"), st.lists(st.sampled_from([text for text in TEXTS if text]), min_size=1, max_size=4)),
    st.tuples(st.just("exists"), st.booleans()),
)
_time = st.tuples(st.sampled_from(["lt", "lte", "gt", "gte"]), st.sampled_from(INSTANTS))


def _leaves(fields: tuple[str, ...], judged: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda field, how: {"field": field, "op": how[0], "value": how[1]}, st.sampled_from(fields), judged
    )


LEAVES = st.one_of(
    _leaves(ATTRIBUTES, _attribute),
    _leaves(("id", "name", "email", "phone", "locale", "timezone"), _text),
    _leaves(("created_at", "updated_at"), _time),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda of: {"not": of}, inner),
        st.builds(lambda of: {"all": of}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda of: {"any": of}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)


async def test_sql_and_python_judge_alike(session: AsyncSession) -> None:
    documents: list[Any] = []

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CONDITIONS)
    def collect(document: Any) -> None:
        documents.append(document)

    collect()
    for document in documents:
        assert await found(session, document) == expected(document), document


async def test_every_operation_is_judged_alike_on_every_field(session: AsyncSession) -> None:
    for op, value in (
        *((op, value) for op in ("eq", "ne") for value in SCALARS),
        *((op, value) for op in ("lt", "lte", "gt", "gte") for value in (0, 1, 2.5, *INSTANTS)),
        *(("in", [*SCALARS[:count], "x"]) for count in (1, 3, 30)),
        *(("prefix", text) for text in ("p", "pro ", "%", "é", "2026")),
        *(("exists", value) for value in (True, False)),
    ):
        for field in ATTRIBUTES:
            document = {"field": field, "op": op, "value": value}
            assert await found(session, document) == expected(document), document


@pytest.mark.parametrize(
    ("op", "value"),
    [
        *(("eq", "pro"), ("ne", "pro"), ("in", ["pro"]), ("in", [f"v{n}" for n in range(30)]), ("prefix", "p")),
        *(("lt", 7), ("lte", 7), ("gt", -7), ("gte", -7), ("lt", "2999-01-01"), ("gt", {"now": "-P9999D"})),
        ("exists", True),
    ],
)
async def test_a_missing_field_matches_only_that_it_does_not_exist(session: AsyncSession, op: str, value: Any) -> None:
    missing = {"field": "attributes.nowhere", "op": op, "value": value}
    everybody = {profile["id"] for profile in profiles()}
    assert await found(session, missing) == set()
    assert await found(session, {"not": missing}) == everybody
    assert await found(session, {"field": "attributes.nowhere", "op": "exists", "value": False}) == everybody


async def test_names_and_values_are_never_part_of_the_sql(session: AsyncSession) -> None:
    hostile = "'; DROP TABLE recipients; --"
    for document in (
        {"field": f"attributes.{hostile}", "op": "eq", "value": hostile},
        {"field": 'attributes.":x{}%s', "op": "gt", "value": 1},
        {"field": "name", "op": "in", "value": [hostile, ":x", "%(x)s", "{}"]},
    ):
        where = compile_condition(parse_condition(document), NOW)
        assert "DROP" not in where.sql
        assert await found(session, document) == set()
