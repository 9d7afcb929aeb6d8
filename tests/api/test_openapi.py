"""The OpenAPI document is complete: every route says what it takes, answers and refuses, with examples."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.context import ApiContext
from api.problems import MEDIA_TYPE, PROBLEMS
from tests.api.support import app_of

Operation = tuple[str, dict[str, Any]]


@pytest.fixture
def document(context: ApiContext) -> dict[str, Any]:
    return app_of(context.settings).openapi()


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _has_example(document: dict[str, Any], content: dict[str, Any]) -> bool:
    schema = _resolved(document, content.get("schema", {}))
    if content.get("examples") or content.get("example") or schema.get("examples"):
        return True
    options = [_resolved(document, option) for option in schema.get("anyOf", [])]
    items = schema.get("properties", {}).get("items", {}).get("items")
    return any(option.get("examples") for option in options) or (
        items is not None and bool(_resolved(document, items).get("examples"))
    )


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    components = {"components": document["components"]}
    wrong = [
        f"{name}: {error.json_path} {error.message}"
        for name, schema in document["components"]["schemas"].items()
        for example in schema.get("examples", [])
        for error in Draft202012Validator(schema | components).iter_errors(example)
    ]
    assert not wrong


def test_every_operation_has_a_summary_and_a_success_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        assert operation.get("summary"), name
        successes = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert successes, name
        for status, answer in successes.items():
            if status != "204":
                assert any(_has_example(document, content) for content in answer["content"].values()), name


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert _has_example(document, content), name


def test_every_guarded_operation_documents_its_problems(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        if " /v1/" not in name:
            continue
        problems = [
            status for status, answer in operation["responses"].items() if MEDIA_TYPE in answer.get("content", {})
        ]
        assert {"401", "413", "500"} <= set(problems), name
        assert operation["security"], name
        others = {status for status in operation["responses"] if not status.startswith("2")}
        assert others == set(problems), f"{name} documents an error that is no problem document"


def test_every_model_and_parameter_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        described = schema.get("description") or schema.get("examples") or schema.get("enum")
        assert described or all("description" in field for field in schema["properties"].values()), name


def test_every_problem_is_listed_once_with_what_to_do(document: dict[str, Any]) -> None:
    assert len({problem.uri for problem in PROBLEMS}) == len(PROBLEMS)
    for problem in PROBLEMS:
        assert problem.uri in document["info"]["description"]
        assert problem.remedy.endswith(".")
