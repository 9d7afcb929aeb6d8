"""Which provider next: when a call's end lets another provider of the channel try the same message at once."""

from collections.abc import Sequence

from notifications.providers.base import DeliveryError, ErrorScope, PermanentDeliveryError, TransientDeliveryError


def lets_another_try(error: DeliveryError) -> bool:
    """An outage or our own account's fault, with the message certainly not accepted.

    Never after a lost answer: `at_most_once` forbids it, and else the same provider knows the key and may see that it
    is a repeat. Should it stay silent, its breaker opens, and then the next one sends.
    """
    if isinstance(error, TransientDeliveryError):
        return error.outage
    return isinstance(error, PermanentDeliveryError) and error.scope is ErrorScope.CONFIG


def remaining(names: Sequence[str], called: str) -> tuple[str, ...]:
    """Those that this try has not called, in the order of preference."""
    return tuple(name for name in names if name != called)
