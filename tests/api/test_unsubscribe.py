"""Behind the links of messages: what a mail program, a scanner, a person and a forger get."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from api.context import ApiContext
from api.limits import MAX_FORM
from notifications.database import Sessions
from notifications.statuses import Channel
from notifications.tables import Preference
from notifications.unsubscribe import Subject, UnsubscribeLinks
from tests.api.support import client_of, save, unique

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def person(context: ApiContext) -> AsyncIterator[AsyncClient]:
    """Without our bearer token."""
    async with client_of(context, token=None) as client:
        yield client


@pytest.fixture
def subject() -> Subject:
    return Subject(unique("cus"), "offers", Channel.EMAIL)


@pytest.fixture
def path(context: ApiContext, subject: Subject) -> str:
    return context.unsubscribe.make(subject).unsubscribe.removeprefix("http://localhost:8000")


async def kept(sessions: Sessions, subject: Subject) -> dict[tuple[str, str], tuple[bool, str]]:
    async with sessions() as session:
        rows = await session.exec(select(Preference).where(Preference.recipient_id == subject.recipient_id))
        return {(row.category, row.channel): (row.opted_in, row.source) for row in rows}


async def opted_in(sessions: Sessions, subject: Subject, **changes: Any) -> None:
    values: dict[str, Any] = {"opted_in": True, "source": "api", "time": datetime.now(UTC) - timedelta(days=1)}
    await save(
        sessions,
        Preference(
            recipient_id=subject.recipient_id, category=subject.category, channel=subject.channel, **(values | changes)
        ),
    )


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("tidings_unsubscribes_total", {"result": result}) or 0


def assert_private(answer: Response) -> None:
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert "<script" not in answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("page", ["", "/preferences"])
async def test_looking_changes_nothing(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str, method: str, page: str
) -> None:
    await opted_in(sessions, subject)
    answer = await person.request(method, path + page, headers={"Purpose": "prefetch"})
    assert answer.status_code == 200
    assert_private(answer)
    assert await kept(sessions, subject) == {("offers", "email"): (True, "api")}


async def test_the_page_asks_and_names_no_one(person: AsyncClient, subject: Subject, path: str) -> None:
    text = (await person.get(path)).text
    assert "Stop e-mails about “Offers”?" in text
    assert '<button type="submit">Unsubscribe</button>' in text
    assert subject.recipient_id not in text


@pytest.mark.parametrize("form", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}])
async def test_one_click_unsubscribes_once(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str, form: dict[str, Any]
) -> None:
    await opted_in(sessions, subject)
    new, repeated = counted("unsubscribed"), counted("repeated")
    answer = await person.post(path, **form)
    assert (answer.status_code, "You are unsubscribed" in answer.text) == (200, True)
    assert_private(answer)
    assert await kept(sessions, subject) == {("offers", "email"): (False, "unsubscribe")}
    assert (await person.post(path, **form)).status_code == 200
    assert (counted("unsubscribed"), counted("repeated")) == (new + 1, repeated + 1)


async def test_who_never_chose_can_unsubscribe(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str
) -> None:
    assert (await person.post(path, data=ONE_CLICK)).status_code == 200
    assert await kept(sessions, subject) == {("offers", "email"): (False, "unsubscribe")}


async def test_a_withdrawal_holds_against_a_choice_by_a_fast_clock(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str
) -> None:
    await opted_in(sessions, subject, time=datetime.now(UTC) + timedelta(minutes=4))
    await person.post(path, data=ONE_CLICK)
    assert await kept(sessions, subject) == {("offers", "email"): (False, "unsubscribe")}


async def test_a_repetition_does_not_take_back_a_later_choice_s_time(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str
) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    await opted_in(sessions, subject, opted_in=False, source="import", time=long_ago)
    await person.post(path, data=ONE_CLICK)
    assert await kept(sessions, subject) == {("offers", "email"): (False, "import")}


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"List-Unsubscribe": "Two-Click"}},
        {"data": {"other": "One-Click"}},
        {"content": b""},
        {"json": ONE_CLICK},
        {"content": b"List-Unsubscribe=One-Click", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"\xff=\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"a=1&" * 3_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ],
)
@pytest.mark.parametrize("page", ["", "/preferences"])
async def test_another_form_changes_nothing(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str, body: dict[str, Any], page: str
) -> None:
    await opted_in(sessions, subject)
    answer = await person.post(path + page, **body)
    assert answer.status_code == 400 or (page and answer.status_code == 200)
    assert_private(answer)
    assert await kept(sessions, subject) == {("offers", "email"): (True, "api")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("page", ["", "/preferences"])
@pytest.mark.parametrize("token", ["garbage", "A" * 60, "A" * 3_000])
async def test_a_forged_link_gets_a_page_that_says_what_to_do(
    person: AsyncClient, method: str, page: str, token: str
) -> None:
    before = counted("forged")
    answer = await person.request(method, f"/u/{token}{page}", data=ONE_CLICK if method == "POST" else None)
    assert answer.status_code == 404
    assert_private(answer)
    if method != "HEAD":
        assert "copy all of it" in answer.text
    assert counted("forged") == before + 1


async def test_a_link_made_with_another_secret_changes_nothing(
    person: AsyncClient, sessions: Sessions, subject: Subject
) -> None:
    await opted_in(sessions, subject)
    forged = UnsubscribeLinks({0: b"not the secret of this house"}, public_url="").make(subject).unsubscribe
    assert (await person.post(forged, data=ONE_CLICK)).status_code == 404
    assert await kept(sessions, subject) == {("offers", "email"): (True, "api")}


async def test_a_form_has_a_size(person: AsyncClient, path: str) -> None:
    answer = await person.post(path, data={"List-Unsubscribe": "x" * MAX_FORM})
    assert answer.status_code == 413


async def test_choices_are_kept_as_they_were_changed_on_the_page(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str
) -> None:
    await opted_in(sessions, subject)
    text = (await person.get(f"{path}/preferences")).text
    assert '<input type="hidden" name="shown" value="on.email.offers">' in text
    assert 'value="email.offers" checked>' in text
    assert "You always get what is part of the service: Payments." in text
    form = {
        "shown": ["on.email.offers", "off.sms.offers", "off.push.offers", "off.email.payments", "off.fax.offers", "x"],
        "wanted": ["sms.offers", "email.payments", "fax.offers"],
    }
    answer = await person.post(f"{path}/preferences", data=form)
    assert "Your choices are saved." in answer.text
    assert 'value="sms.offers" checked>' in answer.text
    choices = {("offers", "email"): (False, "preference page"), ("offers", "sms"): (True, "preference page")}
    assert await kept(sessions, subject) == choices
    assert "Nothing was changed." in (await person.post(f"{path}/preferences", data=form)).text


async def test_who_unsubscribed_can_opt_in_again(
    person: AsyncClient, sessions: Sessions, subject: Subject, path: str
) -> None:
    await person.post(path, data=ONE_CLICK)
    await person.post(f"{path}/preferences", data={"shown": "off.email.offers", "wanted": "email.offers"})
    assert await kept(sessions, subject) == {("offers", "email"): (True, "preference page")}


async def test_a_category_that_is_gone_can_still_be_stopped(
    person: AsyncClient, context: ApiContext, sessions: Sessions
) -> None:
    gone = Subject(unique("cus"), "a <gone> one", Channel.SMS)
    answer = await person.post(context.unsubscribe.make(gone).unsubscribe, data=ONE_CLICK)
    assert "text messages (SMS) about “a &lt;gone&gt; one”" in answer.text
    assert await kept(sessions, gone) == {("a <gone> one", "sms"): (False, "unsubscribe")}


async def test_nobody_is_told_that_a_required_category_was_stopped(person: AsyncClient, context: ApiContext) -> None:
    link = context.unsubscribe.make(Subject(unique("cus"), "payments", Channel.EMAIL)).unsubscribe
    for answer in (await person.get(link), await person.post(link, data=ONE_CLICK)):
        assert (answer.status_code, "Part of the service" in answer.text) == (200, True)
        assert "unsubscribed" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("page", ["", "/preferences"])
async def test_without_postgres_a_page_asks_for_patience(
    context: ApiContext, path: str, method: str, page: str
) -> None:
    def lost() -> None:
        raise OperationalError("SELECT", {}, Exception("connection lost"))

    async with client_of(replace(context, sessions=lost, catalogue=LostCatalogue()), token=None) as person:  # type: ignore[arg-type]
        form = ONE_CLICK | {"shown": "on.email.offers"}
        answer = await person.request(method, path + page, data=form if method == "POST" else None)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "Please try again in a minute" in answer.text
    assert_private(answer)


class LostCatalogue:
    async def current(self) -> Any:
        raise OperationalError("SELECT", {}, Exception("connection lost"))
