"""The providers by the names that settings use."""

from collections.abc import Callable, Iterable, Mapping

from notifications.providers.base import Provider
from notifications.providers.email.smtp import SmtpProvider
from notifications.providers.push.fcm import FcmProvider
from notifications.providers.required import SettingsError
from notifications.settings import Settings
from notifications.statuses import Channel

PROVIDERS: Mapping[str, tuple[Channel, Callable[[Settings], Provider]]] = {
    "smtp": (Channel.EMAIL, lambda settings: SmtpProvider(settings.smtp)),
    "fcm": (Channel.PUSH, lambda settings: FcmProvider(settings.fcm)),
}


def build_providers(settings: Settings, channels: Iterable[Channel]) -> dict[Channel, tuple[Provider, ...]]:
    """The providers of each channel, in order of preference.

    Raises:
        SettingsError: a name that is no provider of its channel, or a setting that a chosen provider lacks.

    """
    return {
        channel: tuple(_build(name, channel, settings) for name in settings.providers_of(channel))
        for channel in channels
    }


def _build(name: str, channel: Channel, settings: Settings) -> Provider:
    known = [known for known, (its_channel, _) in PROVIDERS.items() if its_channel is channel]
    if name not in known:
        raise SettingsError(
            f"TIDINGS_{channel.upper()}_PROVIDERS: no {channel} provider {name!r}; there is {', '.join(known)}"
        )
    return PROVIDERS[name][1](settings)
