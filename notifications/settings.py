"""Every setting, read once from the environment by the composition root of each process.

Names are `TIDINGS_` + field, nested fields after `__` (`TIDINGS_SMTP__HOST`). A secret may come from a file:
`TIDINGS_TWILIO__AUTH_TOKEN_FILE=/run/secrets/twilio`. Kafka takes librdkafka properties from `KAFKA_*`
(bridge/kafka_settings.py), Temporal the SDK's own `TEMPORAL_*` (activities/temporal.py).
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError
from typing_extensions import override

from notifications.durations import Duration, Period, format_duration
from notifications.statuses import Channel

PREFIX = "TIDINGS_"
SHORTEST_LEDGER = timedelta(days=7)


class SettingsError(ValueError):
    """A variable is missing or unusable; the message names it and never shows its value."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Account(_Section):
    """`per_second` is what the account takes, over all processes; None: nobody counts."""

    per_second: float | None = Field(None, gt=0)


class SmtpSettings(_Account):
    host: str = "localhost"
    port: int = 587
    username: str | None = None
    password: SecretStr | None = None
    tls: str = Field("starttls", pattern="^(none|starttls|implicit)$")
    from_address: str = "Tidings <notifications@localhost.localdomain>"
    reply_to: str | None = None
    max_connections: int = Field(20, ge=1)
    timeout_seconds: float = Field(20.0, gt=0)


class SendGridSettings(_Account):
    """`base_url` is `https://api.eu.sendgrid.com` for an account of the EU region."""

    api_key: SecretStr | None = None
    from_address: str | None = None
    reply_to: str | None = None
    webhook_public_key: str | None = None  # checks the signature of the event webhook
    base_url: str = "https://api.sendgrid.com"
    timeout_seconds: float = Field(15.0, gt=0)


class FcmSettings(_Account):
    """`credentials` is the service account's JSON (or `TIDINGS_FCM__CREDENTIALS_FILE`, its path)."""

    credentials: SecretStr | None = None
    base_url: str = "https://fcm.googleapis.com"
    timeout_seconds: float = Field(10.0, gt=0)


class TwilioSettings(_Account):
    account_sid: str = ""
    auth_token: SecretStr | None = None
    from_number: str | None = None
    messaging_service_sid: str | None = None
    base_url: str = "https://api.twilio.com"
    status_callback_url: str | None = None
    timeout_seconds: float = Field(15.0, gt=0)


class MetaSettings(_Account):
    """WhatsApp Cloud API."""

    phone_number_id: str = ""
    access_token: SecretStr | None = None
    app_secret: SecretStr | None = None
    verify_token: SecretStr | None = None
    base_url: str = "https://graph.facebook.com/v23.0"
    timeout_seconds: float = Field(15.0, gt=0)


class RetentionSettings(_Section):
    """How long what has ended is kept; None (`keep`): for ever.

    A notification goes with its messages, attempts and receipts. Its row is what recognises a duplicate, so its period
    is never shorter than a week: what Kafka, Temporal and senders repeat is younger.
    """

    ledger: Period = timedelta(days=90)
    outbox: Period = timedelta(days=7)  # after an outcome was published
    rejected: Period = timedelta(days=30)  # after a rejected event was replayed or given up
    receipts: Period = timedelta(days=30)  # of messages that nobody knows
    imports: Period = timedelta(days=30)  # after an import finished, or an upload was given up; refused rows with it

    @field_validator("ledger")
    @classmethod
    def _covers_repeats(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < SHORTEST_LEDGER:
            message = f"at least {format_duration(SHORTEST_LEDGER)}, so that what is repeated is recognised"
            raise ValueError(message)
        return value


class Settings(BaseSettings):
    """All of Tidings' settings; frozen, passed down, never read again from the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr | None = None  # postgresql://user:password@host:port/database
    database_pool_size: int = Field(10, ge=1)
    api_token: SecretStr | None = None
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0  # 0: no metrics endpoint (the API serves /metrics on its own port)
    hash_key: SecretStr | None = None  # keys the hashes that stand for addresses and recipients
    link_keys: SecretStr | None = None  # number:secret,... of unsubscribe links; None: from `hash_key`
    log_format: str = Field("auto", pattern="^(auto|console|json)$")
    temporal_ui_url: str = "http://localhost:8233"
    public_url: str = "http://localhost:8000"  # where this API is reached from outside

    profile_url: str | None = None  # an external User Profile Service; None: our own tables
    profile_token: SecretStr | None = None
    profile_timeout_seconds: float = Field(2.0, gt=0)
    profile_cache_seconds: float = Field(30.0, ge=0)
    profile_stale_seconds: float = Field(3600.0, ge=0)

    email_providers: Annotated[tuple[str, ...], NoDecode] = ("smtp",)
    push_providers: Annotated[tuple[str, ...], NoDecode] = ("fcm",)
    sms_providers: Annotated[tuple[str, ...], NoDecode] = ("twilio",)
    whatsapp_providers: Annotated[tuple[str, ...], NoDecode] = ("meta",)
    smtp: SmtpSettings = SmtpSettings()
    sendgrid: SendGridSettings = SendGridSettings()
    fcm: FcmSettings = FcmSettings()
    twilio: TwilioSettings = TwilioSettings()
    meta: MetaSettings = MetaSettings()

    # In development a real provider sends only to these; everything else goes to the sandbox.
    dev_sandbox_url: str | None = None
    dev_sandbox_smtp_port: int = 1025  # on the host of `dev_sandbox_url`
    dev_sandbox_secret: SecretStr | None = None  # signs the sandbox's receipts; None: they are not believed
    dev_allow_recipients: Annotated[tuple[str, ...], NoDecode] = ()

    import_max_bytes: int = Field(2**30, ge=1)  # of a file of recipients
    max_retry_for: Duration | None = None  # caps every `retry_for` of the catalogue
    max_untried: int = Field(2000, ge=1)  # not yet tried notifications per class before the bridge pauses
    worker_slots_urgent: int = Field(100, ge=1)
    worker_slots_bulk: int = Field(50, ge=1)
    campaign_calls: int = Field(200, ge=1)  # of a process at once, per channel
    shutdown_grace_seconds: float = Field(25.0, gt=0)

    retention: RetentionSettings = RetentionSettings()

    topics: Annotated[tuple[str, ...], NoDecode] = ()  # further topics; any type but promotional

    @field_validator(
        "email_providers",
        "push_providers",
        "sms_providers",
        "whatsapp_providers",
        "dev_allow_recipients",
        "topics",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    def providers_of(self, channel: Channel) -> tuple[str, ...]:
        """The channel's providers in order of preference."""
        return {
            Channel.EMAIL: self.email_providers,
            Channel.PUSH: self.push_providers,
            Channel.SMS: self.sms_providers,
            Channel.WHATSAPP: self.whatsapp_providers,
        }[channel]

    @property
    def provider_rates(self) -> dict[str, float]:
        """Messages a second of the accounts that have a rate."""
        accounts: dict[str, _Account] = {
            "smtp": self.smtp,
            "sendgrid": self.sendgrid,
            "fcm": self.fcm,
            "twilio": self.twilio,
            "meta": self.meta,
        }
        return {name: account.per_second for name, account in accounts.items() if account.per_second is not None}

    def capped_retry(self, retry_for: timedelta) -> timedelta:
        return min(retry_for, self.max_retry_for) if self.max_retry_for is not None else retry_for

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: the environment is read in one place, `load_settings`."""
        del env_settings, dotenv_settings, file_secret_settings, settings_cls
        return (init_settings,)


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment, with `..._FILE` variables replaced by the content of their file.

    Raises:
        SettingsError: names the variable and what it takes.

    """
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in _with_files(environ).items()}
    try:
        return Settings(**source())
    except ValidationError as error:
        problems = [
            f"{_variable(item['loc'])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False)
        ]
    except SourceError as error:
        problems = [str(error)]
    raise SettingsError("; ".join(problems))


def _with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """What is set and not empty; a variable of its own goes before the file."""
    found = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    for name, path in list(found.items()):
        if name.endswith("_FILE"):
            del found[name]
            found.setdefault(name.removesuffix("_FILE"), _read(name, path))
    return found


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
    raise SettingsError(f"{name}: cannot read {path}: {reason}")


def _variable(location: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in location).upper()
