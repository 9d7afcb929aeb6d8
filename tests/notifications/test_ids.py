"""The id rules that producers rely on."""

from notifications.ids import event_uuid, message_id, payload_hash


def test_the_published_vector_holds():
    notification_id = event_uuid("https://acme.example/payments", "pay_8812-succeeded")
    assert str(notification_id) == "a56453a4-7db3-5408-8b23-96f8b4313634"
    assert str(message_id(notification_id, 1)) == "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"


def test_source_and_id_cannot_be_confused():
    assert event_uuid("a", "bc") != event_uuid("ab", "c")


def test_key_order_does_not_change_the_payload_hash():
    same = {"event_type": "a", "recipient": None, "sendat": None, "expirytime": None, "cancelkey": None}
    assert payload_hash(**same, data={"a": 1, "b": 2}) == payload_hash(**same, data={"b": 2, "a": 1})
    assert payload_hash(**same, data={"a": 1}) != payload_hash(**same, data={"a": "1"})
