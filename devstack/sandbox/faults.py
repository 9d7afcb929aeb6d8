"""The fault knobs: per provider and per recipient, counted and seedable.

A fault document (`PUT /api/faults/{provider}[/{recipient}]`); every field may be left out:

| field | meaning |
|---|---|
| `latency_ms` | the answer comes that much later; what it says was decided (and accepted) before |
| `error` | `{"status", "code", "message", "rate", "at"}`: refused with the vendor's own body |
| `fail_times` | strike only the first N requests, then work; alone it means N times the vendor's 503 (SMTP: 451) |
| `throttle` | `{"retry_after": seconds, "format": "seconds" or "http-date"}`: 429 (SMTP: 450 4.7.0) |
| `hang` | `before` or `after` the request was accepted: never answered |
| `reset` | `before` or `after` the request was accepted: TCP RST |
| `rubbish` | `before` or `after` the request was accepted: an answer that is not the vendor's protocol |
| `trickle_ms` | the answer comes byte by byte, that far apart |
| `rate` | 0 to 1, the share of requests that are struck by any of these except `latency_ms` (default 1) |
| `seed` | of the random numbers behind `rate` |

`error.at` is for SMTP: `rcpt` (default) or `data`, after the final dot. A recipient's fault replaces its provider's;
`fail_times` counts where it is set, on a provider over all its recipients. FCM's token endpoint is `oauth` here.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Moment = Literal["before", "after"]
Rate = Annotated[float, Field(ge=0, le=1)]

PROVIDERS = ("smtp", "sendgrid", "fcm", "twilio", "meta", "profiles")
TOKEN_ENDPOINT = "oauth"  # noqa: S105 - the name of FCM's token endpoint on the board, so that it fails on its own
FAULTABLE = (*PROVIDERS, TOKEN_ENDPOINT)


class _Knob(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorKnob(_Knob):
    """`status` is HTTP or SMTP, `code` the vendor's (FCM `UNAVAILABLE`, Twilio 30001, Meta 131056, SMTP `4.2.1`)."""

    status: int | None = Field(None, ge=400, le=599)
    code: int | Annotated[str, Field(pattern=r"^[\w.]+$")] | None = None
    message: str | None = Field(None, pattern=r"^[^\r\n]*$")
    rate: Rate = 1.0
    at: Literal["rcpt", "data"] = "rcpt"


class ThrottleKnob(_Knob):
    retry_after: int | None = Field(None, ge=0)  # seconds; None: 429 without the header
    format: Literal["seconds", "http-date"] = "seconds"


class Fault(_Knob):
    latency_ms: float = Field(0, ge=0, le=600_000)
    error: ErrorKnob | None = None
    fail_times: int | None = Field(None, ge=0)
    throttle: ThrottleKnob | None = None
    hang: Moment | None = None
    reset: Moment | None = None
    rubbish: Moment | None = None
    trickle_ms: float = Field(0, ge=0, le=60_000)
    rate: Rate = 1.0
    seed: int | None = None

    @property
    def is_bare_countdown(self) -> bool:
        """`fail_times` says how often but no knob says how."""
        knobs = (self.error, self.throttle, self.hang, self.reset, self.rubbish)
        return self.fail_times is not None and not self.trickle_ms and all(knob is None for knob in knobs)


def check_fault(provider: str, fault: Fault) -> None:
    """What a provider can play, said when the knob is set instead of when it strikes.

    Raises:
        ValueError: names what to mend.

    """
    code = fault.error.code if fault.error is not None else None
    if provider in ("twilio", "meta") and isinstance(code, str) and not code.isdecimal():
        raise ValueError(f"error.code: {provider}'s codes are numbers")
    if provider == "sendgrid" and code is not None:
        raise ValueError("error.code: sendgrid has none, use error.status")
    if provider != "smtp" and fault.error is not None and fault.error.at != "rcpt":
        raise ValueError("error.at: only smtp has this")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What happens to one request."""

    latency: float = 0.0  # seconds
    error: ErrorKnob | None = None
    throttle: ThrottleKnob | None = None
    hang: Moment | None = None
    reset: Moment | None = None
    rubbish: Moment | None = None
    trickle: float = 0.0  # seconds between two bytes


@dataclass
class _SetFault:
    fault: Fault
    random: Random
    seen: int = 0
    struck: int = 0

    def strike(self) -> Strike:
        fault = self.fault
        self.seen += 1
        calm = Strike(latency=fault.latency_ms / 1000)
        spent = fault.fail_times is not None and self.struck >= fault.fail_times
        if spent or self.random.random() >= fault.rate:
            return calm
        error = fault.error
        if error is not None and self.random.random() >= error.rate:
            error = None
        elif fault.is_bare_countdown:
            error = ErrorKnob()
        struck = replace(
            calm,
            error=error,
            throttle=fault.throttle,
            hang=fault.hang,
            reset=fault.reset,
            rubbish=fault.rubbish,
            trickle=fault.trickle_ms / 1000,
        )
        self.struck += struck != calm
        return struck


@dataclass
class FaultBoard:
    """Every switch and knob of the sandbox."""

    seed: int | None = None
    _disabled: set[str] = field(default_factory=set)
    _faults: dict[tuple[str, str | None], _SetFault] = field(default_factory=dict)

    def is_enabled(self, provider: str) -> bool:
        return provider not in self._disabled

    def enable(self, provider: str, enabled: bool) -> None:  # noqa: FBT001 - the switch itself
        (self._disabled.discard if enabled else self._disabled.add)(provider)

    def set(self, provider: str, recipient: str | None, fault: Fault) -> None:
        """Replace the fault there, counters included; one without any knob exempts a recipient."""
        place = (provider, _folded(recipient))
        seed = fault.seed if fault.seed is not None else self.seed
        self._faults[place] = _SetFault(fault, Random(seed))  # noqa: S311 - chance, not secrecy

    def clear(self, provider: str | None = None, recipient: str | None = None) -> None:
        """Without a provider all faults; with one its own fault, or one recipient's. Switches stay as they are."""
        if provider is None:
            self._faults.clear()
        else:
            self._faults.pop((provider, _folded(recipient)), None)

    def strike(self, provider: str, recipient: str | None) -> Strike:
        """Decide about one request, counting it."""
        found = self._faults.get((provider, _folded(recipient))) if recipient is not None else None
        found = found or self._faults.get((provider, None))
        return found.strike() if found is not None else Strike()

    def document(self) -> list[dict[str, Any]]:
        return [
            {
                "provider": provider,
                "recipient": recipient,
                "fault": fault.fault.model_dump(exclude_defaults=True),
                "seen": fault.seen,
                "struck": fault.struck,
            }
            for (provider, recipient), fault in self._faults.items()
        ]


def _folded(recipient: str | None) -> str | None:
    return recipient.casefold() if recipient is not None else None
