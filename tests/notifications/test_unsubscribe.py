"""Tokens of unsubscribe links: they hold without a row, say nothing to others, and cannot be made by others."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from notifications.providers.base import EmailContent, SmsContent
from notifications.settings import Settings, SettingsError
from notifications.statuses import Channel
from notifications.unsubscribe import (
    MAX_LINK,
    ForgedTokenError,
    LinkTooLongError,
    Subject,
    UnsubscribeLinks,
    read_secrets,
    with_headers,
)

OLD, NEW, OTHER = b"an old secret of links", b"a new secret of links!", b"a secret of others...."
ANA = Subject("ana@example.org", "offers", Channel.EMAIL)


def links_with(**secrets: bytes) -> UnsubscribeLinks:
    return UnsubscribeLinks(
        {int(name[1:]): secret for name, secret in secrets.items()}, public_url="https://t.example/"
    )


def token_of(links: UnsubscribeLinks, subject: Subject = ANA) -> str:
    return links.make(subject).unsubscribe.rpartition("/")[2]


@given(
    st.builds(
        Subject,
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30),
        st.sampled_from(Channel),
    )
)
def test_what_goes_into_a_token_comes_out(subject: Subject) -> None:
    links = links_with(k0=OLD)
    token = token_of(links, subject)
    assert links.read(token) == subject
    assert set(token) <= {*string.ascii_letters, *string.digits, "-", "_"}


def test_a_token_shows_nobody_whom_it_is_about() -> None:
    token = token_of(links_with(k0=OLD))
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert not any(part in raw for part in (b"ana", b"example", b"offers"))


def test_a_link_is_short_enough_for_an_sms() -> None:
    assert len(token_of(links_with(k0=OLD), Subject("cus_42", "offers", Channel.SMS))) < 50


def test_another_recipient_category_or_channel_has_another_token() -> None:
    links = links_with(k0=OLD)
    others = [Subject("bob", "offers", Channel.EMAIL), Subject(ANA.recipient_id, "news", Channel.EMAIL)]
    others += [Subject(ANA.recipient_id, "offers", Channel.SMS)]
    assert len({token_of(links, subject) for subject in [ANA, *others]}) == 4


def test_a_token_of_another_secret_is_forged() -> None:
    with pytest.raises(ForgedTokenError) as refused:
        links_with(k0=OLD).read(token_of(links_with(k0=OTHER)))
    assert refused.value.reason == "forged"


@pytest.mark.parametrize("place", range(0, 55, 6))
def test_a_token_with_one_letter_changed_is_refused(place: int) -> None:
    links = links_with(k0=OLD)
    token = token_of(links)
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    with pytest.raises(ForgedTokenError):
        links.read(changed)


@pytest.mark.parametrize("cut", [1, 2, 3, 20])
def test_a_token_that_was_cut_off_is_refused(cut: int) -> None:
    links = links_with(k0=OLD)
    with pytest.raises(ForgedTokenError):
        links.read(token_of(links)[:-cut])


@pytest.mark.parametrize("garbage", ["", "x", "A" * 24, "A" * 5_000, "../../etc", "%00" * 10, "é" * 30, "=" * 30])
def test_garbage_is_refused(garbage: str) -> None:
    with pytest.raises(ForgedTokenError):
        links_with(k0=OLD).read(garbage)


def test_keys_rotate() -> None:
    before, after = links_with(k1=OLD), links_with(k2=NEW, k1=OLD)
    assert after.read(token_of(before)) == ANA
    assert token_of(after) != token_of(before)
    with pytest.raises(ForgedTokenError) as refused:
        links_with(k2=NEW).read(token_of(before))
    assert refused.value.reason == "unknown_key"


def test_a_token_cannot_be_moved_to_another_key_of_the_same_secret() -> None:
    token = token_of(links_with(k1=OLD))
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    moved = base64.urlsafe_b64encode(b"\2" + raw[1:]).rstrip(b"=").decode()
    with pytest.raises(ForgedTokenError):
        links_with(k2=OLD).read(moved)


def test_the_links_of_mails_from_before_the_setting_hold() -> None:
    hash_key = b"the hash key of all processes"
    before = UnsubscribeLinks.of(Settings(), hash_key)
    after = UnsubscribeLinks.of(Settings(link_keys=SecretStr(f"1:{NEW.decode().replace(' ', '-')}")), hash_key)
    assert after.read(token_of(before)) == ANA
    assert token_of(after) != token_of(before)


@pytest.mark.parametrize(
    "text",
    [
        "secret-without-a-number",
        "1:short",
        "0:" + "x" * 32,
        "256:" + "x" * 32,
        f"1:{'x' * 32},1:{'y' * 32}",
        "1:a b" * 9,
    ],
)
def test_keys_that_cannot_be_read_are_named_without_their_value(text: str) -> None:
    with pytest.raises(SettingsError, match="TIDINGS_LINK_KEYS must be `number:secret`") as refused:
        read_secrets(SecretStr(text))
    assert text not in str(refused.value)


def test_the_newest_key_is_written_first() -> None:
    assert list(read_secrets(SecretStr(f" 7:{'x' * 32} , 3:{'y' * 32},"))) == [7, 3]


def test_a_link_that_no_line_of_a_mail_can_hold_is_refused() -> None:
    links = links_with(k0=OLD)
    assert len(links.make(Subject("x" * 255, "offers", Channel.EMAIL)).unsubscribe) < MAX_LINK
    with pytest.raises(LinkTooLongError):
        links.make(Subject("\U0001f600" * 255, "offers", Channel.EMAIL))


def test_only_mails_have_header_fields() -> None:
    links = links_with(k0=OLD).make(ANA)
    mail = with_headers(EmailContent("s", None, "t"), links)
    assert isinstance(mail, EmailContent)
    assert mail.headers == {
        "List-Unsubscribe": f"<{links.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    sms = SmsContent("b", 1, "GSM-7")
    assert with_headers(sms, links) == sms
