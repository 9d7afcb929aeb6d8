"""The providers that report by webhook, as the process that takes the reports knows them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import SecretStr

from notifications.providers.development import (
    SANDBOX_ACCESS_TOKEN,
    SANDBOX_ACCOUNT_SID,
    SANDBOX_API_KEY,
    SANDBOX_FROM_NUMBER,
    SANDBOX_PHONE_NUMBER_ID,
)
from notifications.providers.email.sendgrid import SendGridProvider
from notifications.providers.receipts import (
    ForgedError,
    ReceiptEvent,
    Reply,
    ReportingProvider,
    WebhookError,
    WebhookRequest,
)
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.sandbox_signing import SandboxSigning
from notifications.settings import Settings, SettingsError

Answer = TypeVar("Answer")

REPORTING: Mapping[str, Callable[[Settings], ReportingProvider]] = {
    "sendgrid": lambda settings: SendGridProvider(settings.sendgrid),
    "twilio": lambda settings: TwilioProvider(settings.twilio),
    "meta": lambda settings: MetaProvider(settings.meta),
}


class ReceiptSource:
    """One vendor's webhook; in development both the real account and the sandbox's may call it."""

    def __init__(self, accounts: Sequence[ReportingProvider]) -> None:
        self._accounts = accounts

    def parse_receipts(self, request: WebhookRequest) -> list[ReceiptEvent]:
        """As `ReportingProvider.parse_receipts`, by the first account whose secret fits."""
        return self._first(lambda account: account.parse_receipts(request))

    def parse_replies(self, request: WebhookRequest) -> list[Reply]:
        """As `ReportingProvider.parse_replies`, by the first account whose secret fits."""
        return self._first(lambda account: account.parse_replies(request))

    def answer_challenge(self, query: Mapping[str, str]) -> str:
        """As `ReportingProvider.answer_challenge`."""
        return self._first(lambda account: account.answer_challenge(query))

    async def close(self) -> None:
        for account in self._accounts:
            await account.close()

    def _first(self, ask: Callable[[ReportingProvider], Answer]) -> Answer:
        refusal: WebhookError = ForgedError("no account of this vendor is configured")
        for account in self._accounts:
            try:
                return ask(account)
            except WebhookError as error:
                refusal = error
        raise refusal


def build_receipt_sources(settings: Settings) -> dict[str, ReceiptSource]:
    """The vendors that have an account here, by name."""
    found = {name: list(_accounts(name, settings)) for name in REPORTING}
    return {name: ReceiptSource(accounts) for name, accounts in found.items() if accounts}


def _accounts(name: str, settings: Settings) -> Iterator[ReportingProvider]:
    with contextlib.suppress(SettingsError):  # not configured; whoever sends by it is told by the worker
        yield REPORTING[name](settings)
    if settings.dev_sandbox_url and settings.dev_sandbox_secret is not None:
        yield _SANDBOX[name](settings, SandboxSigning(settings.dev_sandbox_secret.get_secret_value()))


def _sandbox_sendgrid(settings: Settings, signing: SandboxSigning) -> ReportingProvider:
    account = {
        "api_key": SecretStr(SANDBOX_API_KEY),
        "from_address": settings.smtp.from_address,
        "webhook_public_key": signing.sendgrid_public_key,
    }
    return SendGridProvider(settings.sendgrid.model_copy(update=account))


def _sandbox_twilio(settings: Settings, signing: SandboxSigning) -> ReportingProvider:
    account = {
        "account_sid": SANDBOX_ACCOUNT_SID,
        "auth_token": SecretStr(signing.twilio_auth_token),
        "from_number": SANDBOX_FROM_NUMBER,
    }
    return TwilioProvider(settings.twilio.model_copy(update=account))


def _sandbox_meta(settings: Settings, signing: SandboxSigning) -> ReportingProvider:
    account = {
        "phone_number_id": SANDBOX_PHONE_NUMBER_ID,
        "access_token": SecretStr(SANDBOX_ACCESS_TOKEN),
        "app_secret": SecretStr(signing.meta_app_secret),
        "verify_token": SecretStr(signing.meta_verify_token),
    }
    return MetaProvider(settings.meta.model_copy(update=account))


_SANDBOX: Mapping[str, Callable[[Settings, SandboxSigning], ReportingProvider]] = {
    "sendgrid": _sandbox_sendgrid,
    "twilio": _sandbox_twilio,
    "meta": _sandbox_meta,
}
