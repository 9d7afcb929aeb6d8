"""The variables that the applications of the stack run with."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from devstack.ports import HOST
from devstack.state import Endpoints, kept_secret
from notifications.settings import Settings
from notifications.statuses import Channel

MAX_RETRY_FOR = "20s"  # so that a delivery gets stuck while one watches
GIVEN_SERVERS = {
    "postgres": "TIDINGS_DATABASE_URL",
    "temporal": "TEMPORAL_ADDRESS",
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
}
# An account of the user's own is recognised by any of these; every other provider is the sandbox's.
_ACCOUNTS: Mapping[str, tuple[str, ...]] = {
    "smtp": ("TIDINGS_SMTP__HOST",),
    "sendgrid": ("TIDINGS_SENDGRID__API_KEY", "TIDINGS_SENDGRID__API_KEY_FILE"),
    "fcm": ("TIDINGS_FCM__CREDENTIALS", "TIDINGS_FCM__CREDENTIALS_FILE"),
    "twilio": ("TIDINGS_TWILIO__ACCOUNT_SID",),
    "meta": ("TIDINGS_META__PHONE_NUMBER_ID",),
}


def given_servers(environ: Mapping[str, str]) -> dict[str, str]:
    """The servers that the environment names, which the stack neither starts nor changes."""
    return {server: environ[name] for server, name in GIVEN_SERVERS.items() if environ.get(name)}


def own_accounts(environ: Mapping[str, str]) -> list[str]:
    """The chosen providers for which the user configured an account of their own."""
    chosen = _chosen(environ)
    return [
        provider
        for provider, names in _ACCOUNTS.items()
        if provider in chosen and any(environ.get(name) for name in names)
    ]


def _chosen(environ: Mapping[str, str]) -> set[str]:
    defaults = Settings()
    lists = (environ.get(_list_of(channel)) or ",".join(defaults.providers_of(channel)) for channel in Channel)
    return {name.strip() for names in lists for name in names.split(",")}


def _list_of(channel: Channel) -> str:
    return f"TIDINGS_{channel.upper()}_PROVIDERS"


def sandbox_secret(state: Path, environ: Mapping[str, str]) -> str:
    """What the sandbox signs its receipts with, and the API checks them by."""
    return environ.get("TIDINGS_DEV_SANDBOX_SECRET") or kept_secret(state, "sandbox-secret")


def stack_variables(endpoints: Endpoints, *, state: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every variable that the stack sets; one that the user set keeps the user's value."""
    variables = {
        "TIDINGS_DATABASE_URL": endpoints.postgres,
        "TEMPORAL_ADDRESS": endpoints.temporal,
        "KAFKA_BOOTSTRAP_SERVERS": endpoints.kafka,
        "TIDINGS_TEMPORAL_UI_URL": endpoints.temporal_ui,
        "TIDINGS_PUBLIC_URL": endpoints.api,
        "TIDINGS_API_TOKEN": kept_secret(state, "api-token"),
        "TIDINGS_HASH_KEY": kept_secret(state, "hash-key"),
        "TIDINGS_MAX_RETRY_FOR": MAX_RETRY_FOR,
        "TIDINGS_LOG_FORMAT": "console",
        "TIDINGS_SMTP__FROM_ADDRESS": "Acme <hello@acme.example>",
    }
    chosen = {name: environ.get(name) or value for name, value in variables.items()}
    chosen |= {name: environ[name] for name in map(_list_of, Channel) if environ.get(name)}
    # Providers without an account of the user's own are the sandbox's; one that has it sends only to
    # TIDINGS_DEV_ALLOW_RECIPIENTS (notifications/providers/development.py).
    return chosen | {
        "TIDINGS_API_HOST": HOST,
        "TIDINGS_API_PORT": endpoints.api.rsplit(":", 1)[1],
        "TIDINGS_DEV_SANDBOX_URL": endpoints.sandbox,
        "TIDINGS_DEV_SANDBOX_SMTP_PORT": endpoints.smtp.rsplit(":", 1)[1],
        "TIDINGS_DEV_SANDBOX_SECRET": sandbox_secret(state, environ),
    }


def keep_compiled_code(state: Path) -> None:
    """Without compiled code each process takes twice as long to start: keep it, but out of the tree."""
    if sys.dont_write_bytecode and sys.pycache_prefix is None:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(state / "pycache")


def process_environment(
    variables: Mapping[str, str], *, state: Path, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The whole environment of an application process; see `keep_compiled_code` for the compiled code."""
    merged = {**environ, **variables, "PYTHONUNBUFFERED": "1"}
    if merged.pop("PYTHONDONTWRITEBYTECODE", None) and "PYTHONPYCACHEPREFIX" not in merged:
        merged["PYTHONPYCACHEPREFIX"] = str(state / "pycache")
    return merged
