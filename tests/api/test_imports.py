"""Files are taken as they come, and what became of each row can be read."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from starlette.types import Message

from api.collaborators import WorkflowsUnavailableError
from api.context import ApiContext
from api.memory import MemoryWorkflows
from notifications.database import Sessions
from notifications.imports.blocks import ImportBlocks
from notifications.settings import Settings
from notifications.tables import Recipient
from tests.api.support import HASH_KEY, TOKEN, app_with, unique

CSV = {"Content-Type": "text/csv; charset=utf-8"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"import_max_bytes": 3_000_000})


async def work(context: ApiContext, import_id: str) -> None:
    """What the workflow does."""
    blocks = ImportBlocks(context.sessions, context.catalogue, hash_key=HASH_KEY.encode())
    while not (await blocks.advance(UUID(import_id)))[0].finished:
        pass


async def pieces(data: bytes, *, chunk: int = 60_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), chunk):
        yield data[start : start + chunk]


def people(count: int) -> bytes:
    prefix = unique("cus")
    return b"id,name\n" + b"".join(b"%s-%d,Somebody with a name\n" % (prefix.encode(), n) for n in range(count))


async def test_a_file_becomes_recipients(
    client: AsyncClient, context: ApiContext, workflows: MemoryWorkflows, sessions: Sessions
) -> None:
    a, b = unique("cus"), unique("cus")
    data = f"id,email,consent.offers.email\n{a},a@example.org,no\n{b},nobody,\n".encode()
    answer = await client.post("/v1/imports?name=people.csv", content=pieces(data, chunk=5), headers=CSV)
    assert answer.status_code == 202, answer.text
    document = answer.json()
    assert answer.headers["location"] == f"/v1/imports/{document['id']}"
    assert (document["state"], document["rows"], document["name"]) == ("waiting", 2, "people.csv")
    assert workflows.imports == [UUID(document["id"])]
    await work(context, document["id"])
    found = (await client.get(f"/v1/imports/{document['id']}")).json()
    assert (found["state"], found["created"], found["refused"], found["done"], found["choices"]) == (
        *("completed", 1, 1, 2, 1),
    )
    assert found["refused_by"] == {"email": 1}
    async with sessions() as session:
        row = await session.get(Recipient, a)
    assert row is not None
    assert row.email == "a@example.org"


async def test_refused_rows_can_be_mended_and_imported_as_they_are(
    client: AsyncClient, context: ApiContext, sessions: Sessions
) -> None:
    a, b = unique("cus"), unique("cus")
    data = f'id,name,email,phone\n{a},"=SUM(1+1)",nobody,+4915112345678\n{b},"x\n{b}",y,z,"\n@cut,off\n'.encode()
    import_id = (await client.post("/v1/imports", content=data, headers=CSV)).json()["id"]
    await work(context, import_id)
    answer = await client.get(f"/v1/imports/{import_id}/refused")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert rows[0] == {
        "refused.line": "2",
        "refused.column": "email",
        "refused.problem": "email: not an e-mail address: write it as name@example.org",
        "id": a,
        "name": "'=SUM(1+1)",
        "email": "nobody",
        "phone": "'+4915112345678",
        "refused.row": "",
    }
    assert [row["refused.row"][:6] for row in rows[1:]] == [f'{b},"x'[:6], b[:6], "'@cut,"]
    mended = answer.text.replace("nobody", "a@example.org")
    again = (await client.post("/v1/imports", content=mended.encode(), headers=CSV)).json()
    await work(context, again["id"])
    async with sessions() as session:
        row = await session.get(Recipient, a)
    assert row is not None
    assert (row.name, row.phone, row.email) == ("=SUM(1+1)", "+4915112345678", "a@example.org")


async def test_refused_lines_of_json_are_rows_too(client: AsyncClient, context: ApiContext) -> None:
    data = b'{"id": "a", "mail": "x"}\n{"id": "b",\n{"id": 3}\n'
    import_id = (await client.post("/v1/imports", content=data, headers=NDJSON)).json()["id"]
    await work(context, import_id)
    text = (await client.get(f"/v1/imports/{import_id}/refused")).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["refused.line"], row["refused.column"]) for row in rows] == [("1", "mail"), ("2", "row")]
    assert rows[0]["refused.row"] == '{"id": "a", "mail": "x"}'


async def test_a_key_stands_for_one_file(client: AsyncClient, context: ApiContext) -> None:
    keyed = {**CSV, "Idempotency-Key": unique("key")}
    data = people(2)
    first = await client.post("/v1/imports", content=data, headers=keyed)
    second = await client.post("/v1/imports", content=data, headers=keyed)
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json()["id"] == first.json()["id"]
    await work(context, first.json()["id"])
    third = await client.post("/v1/imports?again=true", content=data, headers=keyed)
    assert (third.status_code, third.json()["id"] != first.json()["id"]) == (202, True)
    listed = (await client.get("/v1/imports", params={"key": keyed["Idempotency-Key"], "limit": 1})).json()
    assert [item["id"] for item in listed["items"]] == [third.json()["id"]]
    rest = (await client.get("/v1/imports", params={"key": keyed["Idempotency-Key"], "cursor": listed["next"]})).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([first.json()["id"]], None)


async def send_and_leave(context: ApiContext, data: bytes, key: str) -> None:
    """A client that goes away in the middle of its body."""
    app = app_with(context)
    messages: list[Message] = [
        *(
            {"type": "http.request", "body": data[at : at + 65_536], "more_body": True}
            for at in range(0, len(data), 65_536)
        ),
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(_message: Message) -> None:
        """Nobody is there to hear it."""

    headers = [
        *((b"content-type", b"text/csv"), (b"host", b"localhost"), (b"idempotency-key", key.encode())),
        (b"authorization", f"Bearer {TOKEN}".encode()),
    ]
    scope = {"type": "http", "method": "POST", "path": "/v1/imports", "query_string": b"", "headers": headers}
    await app({**scope, "http_version": "1.1"}, receive, send)


async def test_an_upload_that_broke_off_is_found_and_continued(
    client: AsyncClient, context: ApiContext, workflows: MemoryWorkflows
) -> None:
    data, key = people(40_000), unique("key")
    await send_and_leave(context, data[:1_300_000], key)
    (found,) = (await client.get("/v1/imports", params={"key": key})).json()["items"]
    offset = found["received_bytes"]
    assert (found["state"], 900_000 < offset <= 1_300_000) == ("uploading", True)
    refused = await client.post("/v1/imports", content=data, headers={**CSV, "Idempotency-Key": key})
    assert (refused.status_code, refused.json()["import"]["received_bytes"]) == (409, offset)
    path = f"/v1/imports/{found['id']}"
    wrong = await client.patch(path, content=b"x", headers={"Upload-Offset": str(offset - 1)})
    assert (wrong.status_code, f"byte {offset}" in wrong.json()["detail"]) == (409, True)
    assert workflows.imports == []
    rest = await client.patch(path, content=pieces(data[offset:]), headers={"Upload-Offset": str(offset)})
    assert (rest.status_code, rest.json()["rows"], rest.json()["state"]) == (202, 40_000, "waiting")
    once_more = await client.patch(path, content=b"", headers={"Upload-Offset": str(len(data))})
    assert once_more.status_code == 202
    assert workflows.imports == [UUID(found["id"])] * 2


async def test_what_cannot_be_started_now_is_kept(client: AsyncClient, workflows: MemoryWorkflows) -> None:
    workflows.failure = WorkflowsUnavailableError()
    answer = await client.post("/v1/imports", content=people(1), headers=CSV)
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")


async def test_one_that_is_cancelled_writes_nothing_more(client: AsyncClient, context: ApiContext) -> None:
    import_id = (await client.post("/v1/imports", content=people(3), headers=CSV)).json()["id"]
    for _ in range(2):
        answer = await client.post(f"/v1/imports/{import_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    await work(context, import_id)
    found = (await client.get(f"/v1/imports/{import_id}")).json()
    assert (found["state"], found["created"]) == ("cancelled", 0)
    done = (await client.post("/v1/imports", content=people(1), headers=CSV)).json()["id"]
    await work(context, done)
    assert (await client.post(f"/v1/imports/{done}/cancel")).status_code == 409


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"", CSV, 422, "empty"),
        (b"id,mail\na,b\n", CSV, 422, "did you mean email?"),
        (b"id,consent.offer.email\na,no\n", CSV, 422, "no category 'offer'"),
        (b"id\na\n", {"Content-Type": "application/json"}, 415, "text/csv"),
        (b"id\na\n", {**CSV, "Content-Encoding": "gzip"}, 415, "compressed"),
        (b"id\n" + b"a\n" * 1_600_000, CSV, 413, "TIDINGS_IMPORT_MAX_BYTES"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said(
    client: AsyncClient, content: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = await client.post("/v1/imports", content=content, headers=headers)
    assert answer.status_code == status
    assert words in answer.text


async def test_an_undeclared_size_counts_too(client: AsyncClient) -> None:
    answer = await client.post(
        "/v1/imports", content=pieces(b"id,name\n" + b"a,%s\n" % (b"n" * 500) * 6_000), headers=CSV
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["", "/refused"])
async def test_an_unknown_one(client: AsyncClient, path: str) -> None:
    answer: Any = await client.get(f"/v1/imports/3f1c2a52-7a4e-4a55-9a0e-0b8f6a6f3b8e{path}")
    assert answer.status_code == 404
    assert "no import" in answer.json()["detail"]


async def test_other_unknown_ones(client: AsyncClient) -> None:
    path = "/v1/imports/3f1c2a52-7a4e-4a55-9a0e-0b8f6a6f3b8e"
    assert (await client.patch(path, content=b"", headers={"Upload-Offset": "0"})).status_code == 404
    assert (await client.post(f"{path}/cancel")).status_code == 404
