"""The console's pages: who gets in, what they show, what the buttons do, and how errors are said."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient, Response

from api.console.sign_ins import COOKIE, SignIns
from api.context import ApiContext
from notifications.database import Sessions
from notifications.queries.campaigns import commands_of
from notifications.settings import Settings
from tests.api.support import TOKEN, client_of
from tests.support.campaign_messages import insert_with_messages
from tests.support.campaigns import campaign_of

STATUSES = ["sent", "delivered", "sending", "pending", ("skipped", "opted_out"), ("failed", "http_400"), "unknown"]
HTMX = {"HX-Request": "true"}


@pytest.fixture
async def stranger(context: ApiContext) -> AsyncIterator[AsyncClient]:
    async with client_of(context, token=None) as client:
        yield client


@pytest.fixture
async def ana(stranger: AsyncClient) -> AsyncClient:
    answer = await stranger.post("/sign-in", data={"name": "Ana", "token": TOKEN})
    assert answer.status_code == 303
    return stranger


async def form_key(ana: AsyncClient) -> str:
    found = re.search(r'name="form_key" value="(\w+)"', (await ana.get("/campaigns")).text)
    assert found is not None
    return found[1]


async def press(ana: AsyncClient, campaign: UUID, action: str, headers: Any = None, **fields: str) -> Response:
    data = {"form_key": await form_key(ana)} | fields
    return await ana.post(f"/campaigns/{campaign}/{action}", data=data, headers=headers)


class TestSigningIn:
    async def test_the_cookie_is_for_this_site_and_out_of_reach_of_scripts(self, stranger: AsyncClient) -> None:
        answer = await stranger.post("/sign-in", data={"name": "Ana", "token": TOKEN, "next": "/campaigns"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/campaigns")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        assert TOKEN not in cookie

    async def test_behind_tls_it_is_sent_over_tls_alone(self, context: ApiContext) -> None:
        settings = context.settings.model_copy(update={"public_url": "https://tidings.example"})
        async with client_of(replace(context, sign_ins=SignIns.of(settings)), token=None) as client:
            answer = await client.post("/sign-in", data={"name": "Ana", "token": TOKEN})
        assert "Secure" in answer.headers["set-cookie"]

    @pytest.mark.parametrize(
        ("fields", "said"),
        [({"name": "Ana", "token": "wrong"}, "not the API token"), ({"token": TOKEN}, "Type your name"), ({}, "name")],
    )
    async def test_who_is_not_let_in_reads_why(self, stranger: AsyncClient, fields: dict[str, str], said: str) -> None:
        answer = await stranger.post("/sign-in", data=fields or {"x": ""})
        assert answer.status_code == 401
        assert said in answer.text
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("path", ["/campaigns", f"/campaigns/{uuid4()}"])
    async def test_a_page_asks_who_it_is_and_comes_back(self, stranger: AsyncClient, path: str) -> None:
        answer = await stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")
        form = await stranger.get(answer.headers["location"])
        assert f'name="next" value="{path}"' in form.text
        # SameSite=Strict keeps the cookie back where a page from elsewhere leads here; our own link does not.
        assert f'<a href="{path}">Go on</a>' in form.text

    @pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/campaigns/../docs", "/v1/x"])
    async def test_it_leads_nowhere_else(self, stranger: AsyncClient, target: str) -> None:
        assert 'value="/campaigns"' in (await stranger.get("/sign-in", params={"next": target})).text
        answer = await stranger.post("/sign-in", data={"name": "Ana", "token": TOKEN, "next": target})
        assert answer.headers["location"] == "/campaigns"

    async def test_a_forged_cookie_is_nobodys(self, stranger: AsyncClient) -> None:
        answer = await stranger.get("/campaigns", headers={"Cookie": f"{COOKIE}=WyJBbmEiLDk5OTk5OTk5OTldCg==.00"})
        assert answer.status_code == 303

    async def test_signing_out_takes_the_cookie_away(self, ana: AsyncClient) -> None:
        answer = await ana.post("/sign-out", data={"form_key": await form_key(ana)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert (await ana.get("/campaigns")).status_code == 303

    async def test_the_cookie_opens_the_console_alone(self, ana: AsyncClient) -> None:
        assert (await ana.get("/v1/campaigns")).status_code == 401

    async def test_the_token_in_a_header_opens_no_page(self, client: AsyncClient) -> None:
        assert (await client.get("/campaigns")).status_code == 303

    async def test_without_a_token_a_name_will_do_on_a_local_host_name(self, context: ApiContext) -> None:
        settings = Settings(api_token=None)
        async with client_of(replace(context, settings=settings, sign_ins=SignIns.of(settings)), token=None) as client:
            assert "API token" not in (await client.get("/sign-in")).text
            assert (await client.post("/sign-in", data={"name": "Ana"})).status_code == 303
            assert (await client.get("/campaigns")).status_code == 200
            for path in ("/campaigns", "/sign-in"):
                assert (await client.get(path, headers={"Host": "evil.example:8000"})).status_code == 403


class TestPages:
    async def test_nothing_foreign_and_nothing_inline(self, ana: AsyncClient, sessions: Sessions) -> None:
        campaign = await insert_with_messages(sessions, STATUSES)
        for path in ("/sign-in", "/campaigns", f"/campaigns/{campaign}"):
            answer = await ana.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert not re.findall(
                r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=|(?:src|href)=\"(?!/)[^#]", answer.text
            )
            for found in re.findall(r"(?:src|href)=\"(/console/[^\"]+)\"", answer.text):
                kept = await ana.get(found)
                assert kept.status_code == 200
                assert "immutable" in kept.headers["cache-control"]

    async def test_no_file_is_served_but_the_pages_own(self, ana: AsyncClient) -> None:
        for name in ("../sign_ins.py", "..%2fsign_ins.py", "sign_ins.py", "x"):
            assert (await ana.get(f"/console/{name}")).status_code == 404

    async def test_every_number_of_the_account_is_there_and_nobody_is_named(
        self, ana: AsyncClient, sessions: Sessions
    ) -> None:
        audience = {"recipients": ["cus-1", "cus-2"]}
        campaign = await insert_with_messages(sessions, STATUSES, name="<b>Spring</b>", audience=audience, recipients=2)
        html = (await ana.get(f"/campaigns/{campaign}")).text
        shown = dict(re.findall(r'<div class="(\w+)(?: none)?">\s*<dt>[^<]*</dt><dd>([\d,]+)</dd>', html))
        assert sum(map(int, shown.values())) == len(STATUSES) == 7
        assert {name for name, number in shown.items() if number == "1"} == {
            status if isinstance(status, str) else status[0] for status in STATUSES
        }
        assert "<b>57 %</b>" not in html
        assert "<b>71 %</b> done of <b>7</b> messages to <b>2</b> people" in html
        assert "did not agree to this category" in html
        assert "2 that were named" in html
        assert "&lt;b&gt;Spring&lt;/b&gt;" in html
        assert "<b>Spring" not in html
        assert not re.search(r"cus-\d|person\d|@example", html)

    @pytest.mark.parametrize(
        ("state", "reason", "said"),
        [
            ("paused", "breaker_open", "It is paused: its provider failed too often in a row"),
            (
                "paused",
                "sendgrid_http_401",
                "It is paused: its provider answered sendgrid_http_401. Have the cause mended",
            ),
            ("paused", "operator", "It is paused: somebody sent the signal `pause`"),
            ("failed", "http_500", "Tidings gave it up"),
        ],
    )
    async def test_why_it_paused_itself(
        self, ana: AsyncClient, sessions: Sessions, state: str, reason: str, said: str
    ) -> None:
        campaign = await insert_with_messages(sessions, STATUSES, state=state, pause_reason=reason)
        assert said in (await ana.get(f"/campaigns/{campaign}")).text

    async def test_a_draft_has_no_numbers_yet(self, ana: AsyncClient, sessions: Sessions) -> None:
        campaign = await insert_with_messages(
            sessions, [], state="draft", launched_at=None, starts_at=None, started_at=None, created_by="api"
        )
        html = (await ana.get(f"/campaigns/{campaign}")).text
        assert "has not been launched" in html
        assert re.search(r"draft</span>\s*as fast as", html)
        assert "<dd>somebody with the API token, " in html

    async def test_the_list_goes_on_by_pages(self, ana: AsyncClient, sessions: Sessions) -> None:
        made = [await insert_with_messages(sessions, [], created_at=datetime.now(UTC)) for _ in range(26)]
        first = (await ana.get("/campaigns")).text
        assert [UUID(each) for each in re.findall(r'href="/campaigns/([^"]{36})"', first)] == made[:0:-1]
        older = re.search(r'href="(/campaigns\?cursor=[^"]+)">Older', first)
        assert older is not None
        second = (await ana.get(older[1])).text
        assert f'href="/campaigns/{made[0]}"' in second
        assert ">Newest<" in second

    @pytest.mark.parametrize("path", [f"/campaigns/{uuid4()}", "/campaigns/spring", "/campaigns?cursor=x"])
    async def test_what_is_not_there_is_said_in_words(self, ana: AsyncClient, path: str) -> None:
        answer = await ana.get(path)
        assert answer.status_code in {400, 404}
        assert answer.headers["content-type"].startswith("text/html")
        assert "All campaigns" in answer.text


class TestSteering:
    async def test_a_command_answers_with_what_it_left(self, ana: AsyncClient, sessions: Sessions) -> None:
        campaign = await insert_with_messages(sessions, STATUSES)
        answer = await press(ana, campaign, "pause", HTMX)
        assert answer.status_code == 200
        counts = re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", answer.text)
        assert counts == [
            ("sent", "2"),
            ("skipped", "1"),
            ("failed or bounced", "1"),
            ("cancelled", "0"),
            ("in flight", "1"),
            ("unknown", "1"),
            ("still waiting", "1"),
        ]
        assert f"/campaigns/{campaign}/resume" in answer.text
        assert "<html" not in answer.text
        assert (await campaign_of(sessions, campaign)).state == "paused"
        async with sessions() as session:
            (noted,) = await commands_of(session, campaign)
        assert (noted.command, noted.by) == ("pause", "Ana")
        assert "<b>Ana</b> paused it" in (await ana.get(f"/campaigns/{campaign}")).text

    async def test_without_scripts_the_page_comes_again_with_the_answer(
        self, ana: AsyncClient, sessions: Sessions
    ) -> None:
        campaign = await insert_with_messages(sessions, STATUSES, state="paused", started_at=datetime.now(UTC))
        answer = await press(ana, campaign, "resume")
        assert "<html" in answer.text
        assert "It goes on." in answer.text
        assert (await campaign_of(sessions, campaign)).state == "running"

    @pytest.mark.parametrize(("typed", "kept"), [("50", 50.0), ("0.5", 0.5), ("", None), (" ", None)])
    async def test_the_rate(self, ana: AsyncClient, sessions: Sessions, typed: str, kept: float | None) -> None:
        campaign = await insert_with_messages(sessions, STATUSES, per_second=7.0)
        assert (await press(ana, campaign, "rate", HTMX, per_second=typed)).status_code == 200
        assert (await campaign_of(sessions, campaign)).per_second == kept

    @pytest.mark.parametrize("typed", ["0", "-1", "fast", "nan", "1e9"])
    async def test_what_is_no_rate_changes_nothing(self, ana: AsyncClient, sessions: Sessions, typed: str) -> None:
        campaign = await insert_with_messages(sessions, STATUSES, per_second=7.0)
        answer = await press(ana, campaign, "rate", HTMX, per_second=typed)
        assert answer.status_code == 422
        assert "A rate is a number above 0" in answer.text
        assert (await campaign_of(sessions, campaign)).per_second == 7.0

    async def test_cancelling_is_confirmed(self, ana: AsyncClient, sessions: Sessions) -> None:
        campaign = await insert_with_messages(sessions, STATUSES)
        refused = await press(ana, campaign, "cancel", HTMX)
        assert (refused.status_code, "say yes to it" in refused.text) == (422, True)
        assert (await campaign_of(sessions, campaign)).state == "running"
        answer = await press(ana, campaign, "cancel", HTMX, confirmed="yes")
        assert ("cancelled", "1") in re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", answer.text)

    async def test_a_state_that_does_not_allow_it_is_named(self, ana: AsyncClient, sessions: Sessions) -> None:
        campaign = await insert_with_messages(sessions, STATUSES, state="completed")
        answer = await press(ana, campaign, "pause", HTMX)
        assert answer.status_code == 409
        assert "The campaign is completed: pause takes one that is preparing or running." in answer.text
        assert "<html" not in answer.text

    @pytest.mark.parametrize("key", ["", "0" * 64, None])
    async def test_a_form_from_elsewhere_does_nothing(
        self, ana: AsyncClient, sessions: Sessions, key: str | None
    ) -> None:
        campaign = await insert_with_messages(sessions, STATUSES)
        for path in (f"/campaigns/{campaign}/pause", "/sign-out"):
            answer = await ana.post(path, data={"x": ""} if key is None else {"form_key": key})
            assert answer.status_code == 403
            assert "not sent by the page" in answer.text
        as_text = await ana.post(f"/campaigns/{campaign}/pause", content=b"form_key=x", headers={"Content-Type": "a/b"})
        assert as_text.status_code == 403
        assert (await campaign_of(sessions, campaign)).state == "running"

    async def test_who_is_signed_out_meanwhile_is_led_to_the_form(self, stranger: AsyncClient) -> None:
        campaign = uuid4()
        by_htmx = await stranger.post(f"/campaigns/{campaign}/pause", data={"form_key": "x"}, headers=HTMX)
        assert (by_htmx.status_code, by_htmx.headers["hx-redirect"]) == (401, f"/sign-in?next=/campaigns/{campaign}")
        plain = await stranger.post(f"/campaigns/{campaign}/pause", data={"form_key": "x"})
        assert (plain.status_code, plain.headers["location"]) == (303, f"/sign-in?next=/campaigns/{campaign}")
        stream = await stranger.get(f"/campaigns/{campaign}/live", headers={"Accept": "text/event-stream"})
        assert stream.status_code == 401
