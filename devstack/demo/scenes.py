"""What the demo sends, and what has to come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifications.ids import event_uuid

SHOP = "https://acme.example/shop"
BANK = "https://acme.example/payments"
ACCOUNTS = "https://acme.example/accounts"
BOOKING = "https://acme.example/booking"

PHONE_THAT_FAILS_TWICE = "+12015550123"  # cus_44
GUEST_MAILBOX = "ana@example.net"
SCHEDULED_AHEAD = timedelta(seconds=6)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A knob to turn in the sandbox before the event is sent; without `recipient` it holds for all."""

    provider: str
    recipient: str | None = None
    knobs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One event and its expected end.

    `messages` maps a channel to the final statuses of its messages, `received` to how many the inbox has to hold.
    `status` is the notification's final status, or `rejected` with `reason`.
    """

    name: str
    story: str
    topic: str
    event: Mapping[str, Any]
    status: str = "done"
    reason: str | None = None
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def source(self) -> str:
        return str(self.event["source"])

    @property
    def event_id(self) -> str:
        return str(self.event["id"])

    @property
    def notification_id(self) -> str:
        return str(event_uuid(self.source, self.event_id))


def _event(run: str, name: str, source: str, event_type: str, now: datetime, **rest: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{name}-{run}",
        "source": source,
        "type": event_type,
        "time": now.isoformat(),
        **rest,
    }


def _payment(run: str, name: str, now: datetime, amount: str, **rest: Any) -> dict[str, Any]:
    data = {"payment_id": f"pay_{run}", "amount": amount, "currency": "EUR", "receipt_url": f"{SHOP}/r/{run}"}
    extra = rest.pop("data", {})
    return _event(run, name, BANK, "payment.succeeded", now, data=extra | data, **rest)


def scenes(run: str, now: datetime) -> list[Scene]:
    """Everything but the stuck one; `run` makes the event ids fresh."""
    return [
        Scene(
            name="transactional",
            story="payment.succeeded: a push on each of two devices and an e-mail, in German",
            topic="transactional.notifications",
            event=_payment(run, "payment", now, "49.90", recipient="cus_42"),
            messages={"push": ("sent", "sent"), "email": ("sent",)},
        ),
        Scene(
            name="alert",
            story="security.new_login: before everything else, on every channel",
            topic="alert.notifications",
            event=_event(
                run,
                "login",
                ACCOUNTS,
                "security.new_login",
                now,
                recipient="cus_43",
                data={
                    "device": "Firefox on Windows",
                    "location": "Lisbon, Portugal",
                    "signed_in_at": now.isoformat(),
                    "review_url": f"{SHOP}/account/sessions/{run}",
                },
            ),
            messages={"push": ("sent",), "email": ("sent",), "sms": ("sent",), "whatsapp": ("sent",)},
        ),
        Scene(
            name="promotional",
            story="cart.abandoned: an offer for a recipient who agreed to offers",
            topic="promotional.notifications",
            event=_event(run, "cart", SHOP, "cart.abandoned", now, recipient="cus_43", data=_cart(run)),
            messages={"email": ("sent",)},
        ),
        Scene(
            name="opted_out",
            story="cart.abandoned again, for one who never agreed: skipped, and the reason recorded",
            topic="promotional.notifications",
            event=_event(run, "cart-unasked", SHOP, "cart.abandoned", now, recipient="cus_44", data=_cart(run)),
            status="skipped",
            messages={"email": ("skipped",)},
        ),
        Scene(
            name="scheduled_reminder",
            story=f"appointment.reminder with sendat {SCHEDULED_AHEAD.seconds} s ahead: a durable timer",
            topic="reminder.notifications",
            event=_event(
                run,
                "appointment",
                BOOKING,
                "appointment.reminder",
                now,
                recipient="cus_45",
                sendat=(now + SCHEDULED_AHEAD).isoformat(),
                cancelkey=f"appointment-{run}",
                data={
                    "appointment_id": run,
                    "starts_at": (now + timedelta(hours=20)).isoformat(),
                    "place": "Lindenstraße 12, Berlin",
                    "with": "Dr. Weber",
                    "change_url": f"{SHOP}/a/{run}",
                },
            ),
            messages={"sms": ("sent",), "email": ("sent",)},
        ),
        Scene(
            name="guest",
            story="payment.succeeded for a guest: no profile, the address comes with the event",
            topic="transactional.notifications",
            event=_payment(
                run,
                "guest",
                now,
                "12.00",
                data={
                    "recipient": {"email": GUEST_MAILBOX, "name": "Ana", "locale": "en", "timezone": "Europe/Lisbon"}
                },
            ),
            messages={"push": ("skipped",), "email": ("sent",)},
        ),
        Scene(
            name="fallback",
            story="order.shipped to a number without WhatsApp: the fallback sends an SMS",
            topic="transactional.notifications",
            event=_event(
                run,
                "order",
                SHOP,
                "order.shipped",
                now,
                recipient="cus_46",
                data={
                    "order_id": run,
                    "carrier": "DHL",
                    "tracking_url": f"{SHOP}/t/{run}",
                    "expected_on": (now + timedelta(days=2)).date().isoformat(),
                },
            ),
            messages={"whatsapp": ("failed",), "sms": ("sent",)},
            fault=Fault(provider="meta", recipient="+919812345678", knobs={"error": {"status": 400, "code": 131026}}),
        ),
        Scene(
            name="malformed",
            story="a payment without its currency: set aside with what the sender has to mend",
            topic="transactional.notifications",
            event=_event(
                run,
                "broken",
                BANK,
                "payment.succeeded",
                now,
                recipient="cus_42",
                data={"payment_id": f"pay_{run}", "amount": "49.90"},
            ),
            status="rejected",
            reason="schema",
        ),
        Scene(
            name="fails_twice",
            story="auth.otp: the SMS provider answers 429 twice and then works",
            topic="transactional.notifications",
            event=_event(
                run, "otp", ACCOUNTS, "auth.otp", now, recipient="cus_44", data={"code": "482915", "valid_minutes": 5}
            ),
            messages={"sms": ("sent",)},
            fault=Fault(
                provider="twilio",
                recipient=PHONE_THAT_FAILS_TWICE,
                knobs={"throttle": {"retry_after": 1}, "fail_times": 2},
            ),
        ),
    ]


def stuck_scene(run: str, now: datetime) -> Scene:
    """Sent while the e-mail provider is switched off; delivered once it is back and an operator says `retry`."""
    return Scene(
        name="stuck",
        story="payment.succeeded while the e-mail provider is down: stuck, then delivered by `retry`",
        topic="transactional.notifications",
        event=_payment(run, "unlucky", now, "7.20", recipient="cus_45"),
        messages={"push": ("sent",), "email": ("sent",)},
    )


def _cart(run: str) -> dict[str, Any]:
    return {
        "items": [
            {"name": "Merino jumper, forest green", "price": "79.00"},
            {"name": "Wool socks", "price": "25.80", "quantity": 2},
        ],
        "total": "104.80",
        "currency": "EUR",
        "cart_url": f"{SHOP}/basket/{run}",
    }
