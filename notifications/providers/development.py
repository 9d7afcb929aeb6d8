"""In development no one but the developers is written to: real providers reach only
`TIDINGS_DEV_ALLOW_RECIPIENTS`, everything else goes to the sandbox (devstack/sandbox/).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import SecretStr

from notifications.providers.base import (
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Provider,
    Receipt,
    TransientDeliveryError,
)
from notifications.providers.email.sendgrid import SendGridProvider
from notifications.providers.email.smtp import SmtpProvider
from notifications.providers.http import HttpClient
from notifications.providers.push.fcm import FcmProvider
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.settings import FcmSettings, MetaSettings, SendGridSettings, Settings, SmtpSettings, TwilioSettings
from notifications.statuses import Channel

# The accounts that devstack/sandbox/ has; everybody may know them.
SANDBOX_API_KEY = "SG.sandbox.sendgrid-key"
SANDBOX_ACCOUNT_SID = "AC" + "5a" * 16
SANDBOX_AUTH_TOKEN = "sandbox-twilio-token"  # noqa: S105 - see above
SANDBOX_FROM_NUMBER = "+15005550006"
SANDBOX_PHONE_NUMBER_ID = "100000000000001"
SANDBOX_ACCESS_TOKEN = "sandbox-meta-token"  # noqa: S105 - see above

_NOT_DIGITS = str.maketrans("", "", " -()./")


def is_allowed(channel: Channel, address: str, allowed: Iterable[str]) -> bool:
    """Whether the list names the address, in whatever spelling."""
    return _normal(channel, address) in {_normal(channel, each) for each in allowed}


def _normal(channel: Channel, address: str) -> str:
    if channel is Channel.PUSH:
        return address.strip()
    return address.strip().casefold() if channel is Channel.EMAIL else address.translate(_NOT_DIGITS)


class GuardedProvider:
    """A real provider for the allowed addresses, the sandbox's for all others; both under the real one's name."""

    def __init__(self, real: Provider, sandbox: Provider, allowed: Iterable[str]) -> None:
        self.name = real.name
        self.channel = real.channel
        self._real = real
        self._sandbox = sandbox
        self._allowed = tuple(allowed)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        provider = self._real if is_allowed(self.channel, message.address, self._allowed) else self._sandbox
        return await provider.send(message, idempotency_key=idempotency_key, deadline=deadline)

    async def check(self) -> None:
        await self._real.check()
        await self._sandbox.check()

    async def close(self) -> None:
        await self._real.close()
        await self._sandbox.close()


class SandboxFcm:
    """FCM in the sandbox, which makes a service account of its own at each start and hands it out."""

    name = "fcm"
    channel = Channel.PUSH

    def __init__(self, base_url: str, timeout_seconds: float) -> None:
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._http = HttpClient(self.name, timeout_seconds=timeout_seconds)
        self._fcm: FcmProvider | None = None
        self._lock = asyncio.Lock()

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        fcm = await self._signed_in(deadline)
        try:
            return await fcm.send(message, idempotency_key=idempotency_key, deadline=deadline)
        except PermanentDeliveryError as error:
            if error.scope is ErrorScope.CONFIG:
                # Perhaps a restarted sandbox with another account: the next send asks for it again.
                self._fcm = None
                await fcm.close()
            raise

    async def check(self) -> None:
        await (await self._signed_in(time.monotonic() + self._timeout)).check()

    async def close(self) -> None:
        await self._http.close()
        if self._fcm is not None:
            await self._fcm.close()

    async def _signed_in(self, deadline: float) -> FcmProvider:
        async with self._lock:
            if self._fcm is None:
                url = f"{self._base_url}/service-account.json"
                answer = await self._http.request("GET", url, deadline=deadline, headers={})
                if answer.status != 200:  # noqa: PLR2004 - HTTP
                    raise TransientDeliveryError("fcm_sandbox", f"the sandbox answered {answer.status} for its account")
                credentials = SecretStr(answer.body.decode())
                self._fcm = FcmProvider(
                    FcmSettings(credentials=credentials, base_url=self._base_url, timeout_seconds=self._timeout)
                )
            return self._fcm


def for_development(name: str, settings: Settings, factory: Callable[[Settings], Provider]) -> Provider:
    """The sandbox's provider, behind a guard beside the real one if that is configured.

    Raises:
        SettingsError: the real one is configured in part.

    """
    sandbox_url = (settings.dev_sandbox_url or "").rstrip("/")
    sandbox = _SANDBOX[name](settings, sandbox_url)
    if not _is_real(name, settings, sandbox_url):
        return sandbox
    return GuardedProvider(factory(settings), sandbox, settings.dev_allow_recipients)


def _is_real(name: str, settings: Settings, sandbox_url: str) -> bool:
    """Whether settings name an account of the vendor, and not the sandbox's address."""
    if name == "smtp":
        given = settings.smtp
        at_sandbox = (given.host, given.port) == (urlsplit(sandbox_url).hostname, settings.dev_sandbox_smtp_port)
        return "host" in given.model_fields_set and not at_sandbox
    account, base_url = {
        "sendgrid": (settings.sendgrid.api_key, settings.sendgrid.base_url),
        "fcm": (settings.fcm.credentials, settings.fcm.base_url),
        "twilio": (settings.twilio.account_sid, settings.twilio.base_url),
        "meta": (settings.meta.phone_number_id, settings.meta.base_url),
    }[name]
    return bool(account) and not base_url.startswith(f"{sandbox_url}/")


def _smtp(settings: Settings, sandbox_url: str) -> Provider:
    given = {"from_address": settings.smtp.from_address, "timeout_seconds": settings.smtp.timeout_seconds}
    host, port = urlsplit(sandbox_url).hostname or "127.0.0.1", settings.dev_sandbox_smtp_port
    return SmtpProvider(SmtpSettings(host=host, port=port, tls="none", reply_to=settings.smtp.reply_to, **given))


def _sendgrid(settings: Settings, sandbox_url: str) -> Provider:
    given = settings.sendgrid
    return SendGridProvider(
        SendGridSettings(
            api_key=SecretStr(SANDBOX_API_KEY),
            from_address=given.from_address or settings.smtp.from_address,
            reply_to=given.reply_to,
            base_url=f"{sandbox_url}/sendgrid",
            timeout_seconds=given.timeout_seconds,
        )
    )


def _twilio(settings: Settings, sandbox_url: str) -> Provider:
    callback = settings.twilio.status_callback_url or f"{settings.public_url.rstrip('/')}/webhooks/twilio"
    return TwilioProvider(
        TwilioSettings(
            account_sid=SANDBOX_ACCOUNT_SID,
            auth_token=SecretStr(SANDBOX_AUTH_TOKEN),
            from_number=settings.twilio.from_number or SANDBOX_FROM_NUMBER,
            base_url=f"{sandbox_url}/twilio",
            # It carries the idempotency key, by which the inbox tells a repeat.
            status_callback_url=callback,
            timeout_seconds=settings.twilio.timeout_seconds,
        )
    )


def _meta(settings: Settings, sandbox_url: str) -> Provider:
    return MetaProvider(
        MetaSettings(
            phone_number_id=SANDBOX_PHONE_NUMBER_ID,
            access_token=SecretStr(SANDBOX_ACCESS_TOKEN),
            base_url=f"{sandbox_url}/meta/v23.0",
            timeout_seconds=settings.meta.timeout_seconds,
        )
    )


_SANDBOX: Mapping[str, Callable[[Settings, str], Provider]] = {
    "smtp": _smtp,
    "sendgrid": _sendgrid,
    "fcm": lambda settings, url: SandboxFcm(f"{url}/fcm", settings.fcm.timeout_seconds),
    "twilio": _twilio,
    "meta": _meta,
}
