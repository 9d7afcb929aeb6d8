"""What a vendor's answer means to us: the entries of the code tables at the top of each provider."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    PermanentDeliveryError,
    TransientDeliveryError,
    UnknownOutcome,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`words` say it to an operator; vendors' own texts are never used, since they quote addresses and bodies.

    Without a `scope` it is transient, or unknown when the vendor may have accepted the message after all. `outage`
    says that a transient one is no matter of this message: the vendor as a whole is not up.
    """

    words: str
    scope: ErrorScope | None = None
    disable_address: bool = False
    opted_out: bool = False
    may_be_accepted: bool = False
    retry_after: timedelta | None = None
    outage: bool = False

    def error(self, code: str, *, retry_after: timedelta | None = None) -> DeliveryError:
        """The error to raise; a time that the vendor named goes before the table's."""
        if self.scope is not None:
            return PermanentDeliveryError(
                code, self.words, scope=self.scope, disable_address=self.disable_address, opted_out=self.opted_out
            )
        if self.may_be_accepted:
            return UnknownOutcome(code, self.words)
        wait = self.retry_after if retry_after is None else retry_after
        return TransientDeliveryError(code, self.words, retry_after=wait, outage=self.outage)


def transient(words: str, *, retry_after: timedelta | None = None, outage: bool = False) -> Verdict:
    return Verdict(words, retry_after=retry_after, outage=outage)


def unknown(words: str) -> Verdict:
    return Verdict(words, may_be_accepted=True)


def recipient(words: str, *, disable: bool = False) -> Verdict:
    return Verdict(words, ErrorScope.RECIPIENT, disable_address=disable)


def opted_out(words: str) -> Verdict:
    return Verdict(words, ErrorScope.RECIPIENT, opted_out=True)


def message(words: str) -> Verdict:
    return Verdict(words, ErrorScope.MESSAGE)


def config(words: str) -> Verdict:
    return Verdict(words, ErrorScope.CONFIG)


_BY_STATUS = {
    401: config("the credentials were refused"),
    403: config("the account may not do this"),
    404: config("the account's address is unknown to the vendor"),
    405: config("the vendor's address does not take sends"),
    408: unknown("the vendor stopped waiting for the request"),
    413: message("the message is too large"),
    425: unknown("the vendor did not take the request yet"),
    429: transient("too many requests"),
}
_REFUSED = message("the vendor refused the message")
_REDIRECT = config("the vendor redirects: the base URL is not that of its API")
_LOST = unknown("the vendor failed and may have accepted the message")
_CLIENT_ERRORS, _REDIRECTS = range(400, 500), range(300, 400)


def by_status(status: int) -> Verdict:
    """What an HTTP status means where the vendor's table has no entry: only 429 is known not to be processed."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in _CLIENT_ERRORS:
        return _REFUSED
    return _REDIRECT if status in _REDIRECTS else _LOST


def listed(table: Mapping[int, Verdict], code: object, status: int, page: str) -> Verdict:
    """The table's entry for a vendor's code, else what the HTTP status means, with the page that explains the code."""
    if isinstance(code, int) and code in table:
        return table[code]
    verdict = by_status(status)
    return replace(verdict, words=f"{verdict.words} (see {page})") if isinstance(code, int) else verdict
