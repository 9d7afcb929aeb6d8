"""Who may steer campaigns with a browser: a cookie that only the API token makes, for some hours."""

import base64
import json

import pytest
from pydantic import SecretStr

from api.console.sign_ins import LASTS_SECONDS, NotSignedInError, SignInError, SignIns

TOKEN = SecretStr("a token of tests")


def sign_ins(token: SecretStr | None = TOKEN, at: float = 1_000.0) -> SignIns:
    return SignIns(token, secure=False, clock=lambda: at)


def test_every_process_with_the_token_knows_the_visitor() -> None:
    cookie = sign_ins().sign_in(" Ana Ångström ", TOKEN.get_secret_value())
    visitor = sign_ins().visitor(cookie)
    assert visitor.name == "Ana Ångström"
    assert visitor.owns(visitor.form_key)
    assert not visitor.owns("")
    assert TOKEN.get_secret_value() not in cookie
    assert visitor.form_key not in cookie


def test_it_is_over_after_some_hours() -> None:
    cookie = sign_ins().sign_in("Ana", TOKEN.get_secret_value())
    assert sign_ins(at=1_000.0 + LASTS_SECONDS - 1).visitor(cookie)
    with pytest.raises(NotSignedInError):
        sign_ins(at=1_000.0 + LASTS_SECONDS).visitor(cookie)


def test_another_token_ends_it() -> None:
    cookie = sign_ins().sign_in("Ana", TOKEN.get_secret_value())
    with pytest.raises(NotSignedInError):
        sign_ins(SecretStr("another token")).visitor(cookie)


def test_without_a_token_it_is_this_process_alone_that_knows_it() -> None:
    ours = sign_ins(None)
    assert ours.visitor(ours.sign_in("Ana", "")).name == "Ana"
    with pytest.raises(NotSignedInError):
        sign_ins(None).visitor(ours.sign_in("Ana", ""))


@pytest.mark.parametrize("cookie", [None, "", ".", "x", "é.ü", "W10=.00", "=.=", "a.b.c"])
def test_what_is_no_cookie_of_ours_is_nobody(cookie: str | None) -> None:
    with pytest.raises(NotSignedInError):
        sign_ins().visitor(cookie)


def test_a_cookie_that_was_changed_is_nobodys() -> None:
    _, _, mac = sign_ins().sign_in("Ana", TOKEN.get_secret_value()).partition(".")
    other = base64.urlsafe_b64encode(json.dumps(["Eve", 9_999_999_999]).encode()).decode()
    with pytest.raises(NotSignedInError):
        sign_ins().visitor(f"{other}.{mac}")
    form_key = sign_ins().visitor(sign_ins().sign_in("Ana", TOKEN.get_secret_value())).form_key
    with pytest.raises(NotSignedInError):
        sign_ins().visitor(f"{other}.{form_key}")


@pytest.mark.parametrize(("name", "token"), [("Ana", ""), ("Ana", "a token of test"), ("Ana", "é")])
def test_a_wrong_token_lets_nobody_in(name: str, token: str) -> None:
    with pytest.raises(SignInError, match="not the API token"):
        sign_ins().sign_in(name, token)


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\x00b", "a\nb"])
def test_a_name_is_needed_for_the_log(name: str) -> None:
    with pytest.raises(SignInError, match="name"):
        sign_ins().sign_in(name, TOKEN.get_secret_value())
