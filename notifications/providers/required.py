"""Settings that a chosen provider cannot do without."""

from pydantic import SecretStr

from notifications.settings import SettingsError


def required(value: str | None, variable: str) -> str:
    """The value.

    Raises:
        SettingsError: it is missing.

    """
    if not value:
        raise SettingsError(f"{variable} is not set, and the provider that is chosen needs it")
    return value


def required_secret(value: SecretStr | None, variable: str) -> str:
    """The secret; it may also come from the file that `<variable>_FILE` names."""
    if value is None or not value.get_secret_value():
        raise SettingsError(
            f"{variable} (or {variable}_FILE, a path) is not set, and the provider that is chosen needs it"
        )
    return value.get_secret_value()
