"""A campaign as its author writes it: one model for `POST /v1/campaigns` and for the launch event."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from notifications.audiences.audience import parse_audience
from notifications.catalogue.templates import TemplateBody
from notifications.durations import Duration
from notifications.statuses import Channel, DuplicatePolicy

MAX_RATE = 10_000.0  # messages a second


def _checked_audience(document: dict[str, Any]) -> dict[str, Any]:
    parse_audience(document)
    return document


_EXAMPLE: dict[str, JsonValue] = {
    "name": "Spring sale",
    "category": "offers",
    "channel": "email",
    "template": "spring-sale",
    "audience": {"filter": {"field": "attributes.plan", "op": "eq", "value": "pro"}},
    "data": {"discount": "20 %"},
    "rate": {"per_second": 200},
    "expire_after": "24h",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateBody(_Part):
    """How fast it goes out at most."""

    per_second: Annotated[float, Field(gt=0, le=MAX_RATE)]


class CampaignBody(_Part):
    """`template` names a published template; `content` stands in for one. `expire_after` counts from the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[str, Field(min_length=1, max_length=255, examples=["Spring sale"])]
    category: Annotated[str, Field(examples=["offers"])]
    channel: Channel
    template: Annotated[str | None, Field(examples=["spring-sale"])] = None
    content: TemplateBody | None = None
    audience: Annotated[
        dict[str, Any],
        AfterValidator(_checked_audience),
        Field(examples=[{"filter": {"field": "attributes.plan", "op": "eq", "value": "pro"}}]),
    ]
    data: dict[str, Any] = Field(default_factory=dict)
    rate: RateBody | None = None
    expire_after: Duration | None = None  # None: as for single messages of its type
    retry_for: Duration | None = None
    duplicates: DuplicatePolicy | None = None
    outcomes: Literal["campaign", "all"] = "campaign"

    @model_validator(mode="after")
    def _one_content(self) -> "CampaignBody":
        if (self.template is None) == (self.content is None):
            message = "give either `template`, the name of a published one, or `content`"
            raise ValueError(message)
        return self
