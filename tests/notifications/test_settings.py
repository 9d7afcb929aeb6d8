"""Settings come from the environment, and `.env.example` lists them all."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from notifications.settings import Settings, SettingsError, load_settings
from notifications.statuses import Channel

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def example() -> dict[str, str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def variables(model: type[BaseModel], prefix: str = "TIDINGS_") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            found |= variables(nested, f"{prefix}{name.upper()}__")
        else:
            found.add(prefix + name.upper())
    return found


def test_the_example_lists_every_setting_and_nothing_else():
    assert set(example()) == variables(Settings)


def test_the_example_lists_each_setting_once_under_a_comment():
    text = EXAMPLE.read_text(encoding="utf-8")
    names = re.findall(r"^(TIDINGS_\w+)=", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert all(block.startswith("#") for block in text.split("\n\n"))


def test_the_example_holds_the_defaults():
    assert load_settings({name: value.strip('"') for name, value in example().items()}) == Settings()


def test_nested_names_secrets_lists_and_durations_are_read():
    settings = load_settings(
        {
            "TIDINGS_SMTP__HOST": "mail.example",
            "TIDINGS_SMTP__PORT": "465",
            "TIDINGS_TWILIO__AUTH_TOKEN": "hush",
            "TIDINGS_SMS_PROVIDERS": "twilio, other ,",
            "TIDINGS_MAX_RETRY_FOR": "20s",
        }
    )
    assert (settings.smtp.host, settings.smtp.port) == ("mail.example", 465)
    assert settings.twilio.auth_token == SecretStr("hush")
    assert settings.providers_of(Channel.SMS) == ("twilio", "other")
    assert settings.max_retry_for == timedelta(seconds=20)
    assert "hush" not in repr(settings)


def test_a_secret_is_read_from_its_file_and_nowhere_kept(tmp_path):
    (tmp_path / "token").write_text("from-file\n", encoding="utf-8")
    name = "TIDINGS_TWILIO__AUTH_TOKEN"
    environ = {f"{name}_FILE": str(tmp_path / "token")}
    assert load_settings(environ).twilio.auth_token == SecretStr("from-file")
    assert load_settings({**environ, name: ""}).twilio.auth_token == SecretStr("from-file")
    assert load_settings({**environ, name: "given"}).twilio.auth_token == SecretStr("given")
    assert name not in environ
    assert name not in os.environ


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"TIDINGS_API_TOKEN_FILE: cannot read .*absent: No such file"):
        load_settings({"TIDINGS_API_TOKEN_FILE": str(tmp_path / "absent")})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIDINGS_API_PORT", "eighty", "TIDINGS_API_PORT: .*integer"),
        ("TIDINGS_SMTP__TLS", "maybe", r"TIDINGS_SMTP__TLS: .*none\|starttls\|implicit"),
        ("TIDINGS_SMTP__HOTS", "mail", "TIDINGS_SMTP__HOTS: .*not permitted"),
        ("TIDINGS_MAX_RETRY_FOR", "20", "TIDINGS_MAX_RETRY_FOR: .*write a whole number and s, m, h or d"),
        ("TIDINGS_SMTP", "{", "smtp"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(name, value, words):
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings({name: value})
    assert value not in ("eighty", "maybe") or value not in str(caught.value)


def test_settings_made_in_code_do_not_look_at_the_environment():
    os.environ["TIDINGS_API_PORT"] = "9999"
    try:
        assert Settings().api_port == 8000
    finally:
        del os.environ["TIDINGS_API_PORT"]


def test_what_has_ended_may_be_kept_for_ever():
    settings = load_settings({"TIDINGS_RETENTION__LEDGER": "keep", "TIDINGS_RETENTION__OUTBOX": "1d"})
    assert (settings.retention.ledger, settings.retention.outbox) == (None, timedelta(days=1))


@pytest.mark.parametrize("period", ["6d", "never"])
def test_a_ledger_that_would_not_recognise_repeats_is_refused(period: str):
    with pytest.raises(SettingsError, match=r"TIDINGS_RETENTION__LEDGER: .*(at least 7d|is not a duration)"):
        load_settings({"TIDINGS_RETENTION__LEDGER": period})


def test_accounts_with_a_rate_are_told_by_the_name_of_their_provider():
    settings = load_settings({"TIDINGS_SENDGRID__PER_SECOND": "100", "TIDINGS_FCM__PER_SECOND": "0.5"})
    assert settings.provider_rates == {"sendgrid": 100.0, "fcm": 0.5}
    with pytest.raises(SettingsError, match="TIDINGS_META__PER_SECOND"):
        load_settings({"TIDINGS_META__PER_SECOND": "0"})
