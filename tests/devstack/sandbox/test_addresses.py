"""The one table of test addresses, in the package's docstring, names each of them."""

import devstack.sandbox
from devstack.sandbox import fcm, meta, sendgrid, smtp, twilio


def test_every_test_address_is_in_the_table() -> None:
    table = devstack.sandbox.__doc__ or ""
    expected = [f"e-mail `{start}...@`" for start in (*smtp._TEST_ADDRESSES, "greylist")]
    expected += [f"SendGrid from `{sendgrid._UNVERIFIED_SENDER}...@` | 403"]
    expected += [f"token `{start}...` | {fcm._ERRORS[code][0]} {code}" for start, code in fcm._TEST_TOKENS.items()]
    expected += [f"Twilio to {number} | {code}" for number, code in twilio._TO_NUMBERS.items()]
    expected += [f"Twilio from {number} | {code}" for number, code in twilio._FROM_NUMBERS.items()]
    expected += [f"WhatsApp to +{number} | {code}" for number, code in meta._TEST_NUMBERS.items()]
    expected += [f"`{start}...`" for start in meta._TEST_TEMPLATES]
    assert [text for text in expected if text not in table] == []
