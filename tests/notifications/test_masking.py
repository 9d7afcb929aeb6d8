import pytest

from notifications.masking import mask
from notifications.statuses import Channel


@pytest.mark.parametrize(
    ("channel", "address", "masked"),
    [
        (Channel.EMAIL, "jane@example.org", "j•••@example.org"),
        (Channel.EMAIL, "j@example.org", "j•••@example.org"),
        (Channel.EMAIL, "no-address", "•••"),
        (Channel.SMS, "+4915112345678", "+49•••678"),
        (Channel.WHATSAPP, "12345", "•••"),
        (Channel.PUSH, "0123456789abcdef", "•••cdef"),
        (Channel.PUSH, "short", "•••"),
    ],
)
def test_mask(channel: Channel, address: str, masked: str) -> None:
    assert mask(channel, address) == masked
