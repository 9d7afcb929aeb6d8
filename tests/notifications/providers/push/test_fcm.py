"""What FCM is told about one message."""

import time
from datetime import timedelta

import pytest

from notifications.providers.base import ErrorScope, PermanentDeliveryError, PushContent
from notifications.providers.http import encode_json
from notifications.providers.push.fcm import MAX_PAYLOAD_BYTES, build_message
from tests.contracts.support.vendors import KEY, ORIGIN, FcmBench, fcm_error, outgoing, running


def build(**changes):
    return build_message(outgoing(FcmBench(), **changes), KEY)


def test_a_message_names_its_token_texts_link_and_key():
    built = build(content=PushContent("Title", "Body", "https://acme.example/r", {"kind": "payment"}))
    assert built["token"] == FcmBench.address
    assert built["notification"] == {"title": "Title", "body": "Body"}
    assert built["data"] == {
        "link": "https://acme.example/r",
        "kind": "payment",
        "tidings_message_id": str(KEY),
        "tidings_correlation": f"{ORIGIN}.1.2",
    }
    assert built["webpush"]["fcmOptions"] == {"link": "https://acme.example/r"}


def test_a_repeat_replaces_the_first_on_every_platform():
    built = build()
    assert built["apns"]["headers"]["apns-collapse-id"] == str(KEY)
    assert built["android"]["notification"]["tag"] == str(KEY)
    assert built["webpush"]["headers"]["Topic"] == KEY.hex
    assert len(KEY.hex) <= 32


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(timedelta(minutes=5), 300), (timedelta(days=99), 2_419_200), (timedelta(-1), 0)]
)
def test_the_time_left_is_told_to_every_platform(ttl, seconds):
    built = build(ttl=ttl)
    assert built["android"]["ttl"] == f"{seconds}s"
    assert built["webpush"]["headers"]["TTL"] == str(seconds)
    assert abs(int(built["apns"]["headers"]["apns-expiration"]) - time.time() - seconds) < 5


def test_only_a_web_address_is_a_web_link():
    built = build(content=PushContent("t", "b", "acme://orders/1"))
    assert built["data"]["link"] == "acme://orders/1"
    assert "fcmOptions" not in built["webpush"]


@pytest.mark.parametrize("key", ["from", "message_type", "google.x", "gcm_y", "tidings_message_id"])
def test_a_reserved_data_key_is_refused_by_name(key):
    with pytest.raises(PermanentDeliveryError, match=key) as caught:
        build(content=PushContent("t", "b", None, {key: "x"}))
    assert caught.value.scope is ErrorScope.MESSAGE


def test_the_size_counts_bytes_as_they_are_sent():
    frame = len(
        encode_json({"notification": {"title": "", "body": ""}, "data": build(content=PushContent("", ""))["data"]})
    )
    room = (MAX_PAYLOAD_BYTES - frame) // 2
    assert build(content=PushContent("", "ü" * room))
    with pytest.raises(PermanentDeliveryError, match="fcm_too_large"):
        build(content=PushContent("", "ü" * (room + 1)))


async def test_a_refused_access_token_is_replaced_once(send, failure):
    async with running("fcm") as bench:
        bench.play(fcm_error(401, None))
        await send(bench.provider, outgoing(bench))
        assert len(bench.server.received_elsewhere) == 2
        bench.play(fcm_error(401, None), fcm_error(401, None))
        error = await failure(bench.provider, outgoing(bench))
    assert (error.code, error.scope) == ("fcm_unauthenticated", ErrorScope.CONFIG)
