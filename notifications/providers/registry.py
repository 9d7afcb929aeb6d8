"""The providers by the names that settings use."""

from collections.abc import Callable, Iterable, Mapping

from notifications.providers.base import Provider
from notifications.providers.development import for_development
from notifications.providers.email.sendgrid import SendGridProvider
from notifications.providers.email.smtp import SmtpProvider
from notifications.providers.push.fcm import FcmProvider
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.settings import Settings, SettingsError
from notifications.statuses import Channel

PROVIDERS: Mapping[Channel, Mapping[str, Callable[[Settings], Provider]]] = {
    Channel.EMAIL: {
        "smtp": lambda settings: SmtpProvider(settings.smtp),
        "sendgrid": lambda settings: SendGridProvider(settings.sendgrid),
    },
    Channel.PUSH: {"fcm": lambda settings: FcmProvider(settings.fcm)},
    Channel.SMS: {"twilio": lambda settings: TwilioProvider(settings.twilio)},
    Channel.WHATSAPP: {"meta": lambda settings: MetaProvider(settings.meta)},
}


def build_providers(settings: Settings, channels: Iterable[Channel]) -> dict[Channel, tuple[Provider, ...]]:
    """The providers of each channel, in order of preference.

    Raises:
        SettingsError: a name that is no provider of its channel, or a setting that a chosen provider lacks.

    """
    return {
        channel: tuple(_build(name, channel, settings) for name in _chosen(settings, channel)) for channel in channels
    }


def _chosen(settings: Settings, channel: Channel) -> tuple[str, ...]:
    names = settings.providers_of(channel)
    variable = f"TIDINGS_{channel.upper()}_PROVIDERS"
    known = ", ".join(PROVIDERS[channel])
    if not names:
        raise SettingsError(f"{variable} is empty: name at least one of {known}")
    if unknown := [name for name in names if name not in PROVIDERS[channel]]:
        raise SettingsError(f"{variable}: {unknown[0]!r} is no provider for {channel}; there is {known}")
    return names


def _build(name: str, channel: Channel, settings: Settings) -> Provider:
    factory = PROVIDERS[channel][name]
    return for_development(name, settings, factory) if settings.dev_sandbox_url else factory(settings)
