"""Settings of made-up accounts whose vendor is a server of the test."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from notifications.settings import FcmSettings, MetaSettings, SmtpSettings, TwilioSettings

_PRIVATE_KEY = rsa.generate_private_key(65537, 2048)
PEM = _PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC_KEY = _PRIVATE_KEY.public_key()


def fcm_settings(url: str, **changes: Any) -> FcmSettings:
    return FcmSettings(**{"credentials": SecretStr(service_account(url)), "base_url": url, **changes})


def service_account(url: str) -> str:
    account = {
        "type": "service_account",
        "project_id": "p",
        "client_email": "sender@p.iam.gserviceaccount.com",
        "private_key": PEM,
        "private_key_id": "key-1",
        "token_uri": f"{url}/token",
    }
    return json.dumps(account)


def twilio_settings(url: str, **changes: Any) -> TwilioSettings:
    given = {
        "account_sid": "AC" + "1" * 32,
        "auth_token": SecretStr("auth-canary"),
        "from_number": "+15005550006",
        "base_url": url,
        "status_callback_url": "https://tidings.example/webhooks/twilio",
    }
    return TwilioSettings(**{**given, **changes})


def meta_settings(url: str) -> MetaSettings:
    return MetaSettings(phone_number_id="42", access_token=SecretStr("access-canary"), base_url=f"{url}/v23.0")


def smtp_settings(port: int, **changes: Any) -> SmtpSettings:
    given = {"host": "127.0.0.1", "port": port, "tls": "none", "from_address": "Tidings <hello@tidings.example>"}
    return SmtpSettings(**{**given, **changes})
