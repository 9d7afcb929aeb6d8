import re
from html.parser import HTMLParser

from httpx import AsyncClient
from typing_extensions import override

from api.problems import PROBLEMS


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]


async def test_the_page_shows_every_route_and_problem_and_needs_no_other_host(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path, item in document["paths"].items():
        assert f"<code>{path}</code>" in page.text
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in page.text
    for problem in PROBLEMS:
        assert problem.uri in page.text
    links = _Links()
    links.feed(page.text)
    assert links.found == ["/openapi.json"]


async def test_commands_can_be_pasted(client: AsyncClient) -> None:
    page = (await client.get("/docs")).text
    assert re.search(r"curl -X POST http://localhost:8000/v1/events \\", page)
    assert "Bearer $TIDINGS_API_TOKEN" in page
