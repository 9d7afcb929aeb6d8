"""The API's reference as one page without scripts, made from the OpenAPI document: it works without the internet."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from api.problems import MEDIA_TYPE, PROBLEMS

_TEMPLATE = "reference.html.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the page shows of one route; `answer` is the example of its success, if that has a body."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[dict[str, Any]]
    curl: str
    status: str
    answer: str
    problems: list[str]


def render_reference(document: Mapping[str, Any], base_url: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    groups: dict[str, list[Operation]] = {}
    for operation in _operations(document, base_url.rstrip("/")):
        groups.setdefault(operation.tag, []).append(operation)
    return environment.get_template(_TEMPLATE).render(info=document["info"], groups=groups, problems=PROBLEMS)


def _operations(document: Mapping[str, Any], base_url: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, given in item.items():
            status, success = next((key, answer) for key, answer in given["responses"].items() if key.startswith("2"))
            body = _example(document, given.get("requestBody", {}))
            yield Operation(
                id=given["operationId"],
                tag=given.get("tags", ["other"])[0],
                method=method.upper(),
                path=path,
                summary=given["summary"],
                description=given.get("description", ""),
                parameters=[{"description": "", "required": False} | one for one in given.get("parameters", [])],
                curl=_curl(method.upper(), base_url + path, body, guarded="security" in given),
                status=f"{status} {success['description']}",
                answer=_json(_example(document, success)),
                problems=_problems(given["responses"]),
            )


def _problems(responses: Mapping[str, Any]) -> list[str]:
    return [
        name
        for answer in responses.values()
        for name in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    ]


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _example(document: Mapping[str, Any], holder: Mapping[str, Any]) -> Any:
    """The first example of a body; a page of items is shown with one item."""
    content: Mapping[str, Any] = next(iter(holder.get("content", {}).values()), {})
    if "example" in content:
        return content["example"]
    if content.get("examples"):
        return next(iter(content["examples"].values()))["value"]
    schema = _resolved(document, content.get("schema", {}))
    for option in (schema, *(_resolved(document, other) for other in schema.get("anyOf", []))):
        if option.get("examples"):
            return option["examples"][0]
    items = schema.get("properties", {}).get("items", {}).get("items")
    return {"items": [_resolved(document, items)["examples"][0]], "next": None} if items else None


def _json(example: Any) -> str:
    if example is None or isinstance(example, str):
        return example or ""
    return json.dumps(example, indent=2, ensure_ascii=False)


def _curl(method: str, url: str, body: Any, *, guarded: bool) -> str:
    lines = ["curl" if method == "GET" else f"curl -X {method}", shlex.quote(url)]
    if guarded:
        lines.append('-H "Authorization: Bearer $TIDINGS_API_TOKEN"')
    if body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"]
    return " \\\n  ".join([" ".join(lines[:2]), *lines[2:]])
