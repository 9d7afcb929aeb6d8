"""Recipients, their devices and choices, and suppressed addresses."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.texts import Text
from notifications.catalogue.definition import ConsentDefault
from notifications.masking import mask_token
from notifications.profiles.profile import Profile
from notifications.statuses import Channel
from notifications.tables import Device, Recipient, Suppression

_PROFILE: dict[str, Any] = {
    "name": "Jane Doe",
    "email": "jane@example.org",
    "phone": "+4915112345678",
    "locale": "de-AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro"},
}
_DEVICE: dict[str, Any] = {
    "id": "pixel-8",
    "platform": "android",
    "token": "•••cdef",
    "created_at": "2026-11-22T10:15:00Z",
    "disabled_at": None,
    "disabled_reason": None,
}
_STAMPS: dict[str, Any] = {"created_at": "2026-11-22T10:15:00Z", "updated_at": "2026-11-22T10:15:00Z"}
_SUPPRESSION: dict[str, Any] = {
    "id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.email.all",
    "channel": "email",
    "scope": "all",
    "reason": "hard_bounce",
    "source": "smtp",
    "created_at": "2026-11-22T10:15:00Z",
}


class ProfileOrigin(StrEnum):
    TIDINGS = "tidings"
    EXTERNAL = "external"


class RecipientWrite(BaseModel):
    """A whole profile; what is left out is emptied. Devices have routes of their own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_PROFILE]})

    name: str | None = None
    email: str | None = Field(None, description="Checked for its form, not for its existence.")
    phone: str | None = Field(None, description="E.164: + and the country code.")
    locale: str | None = Field(None, description="A language tag (BCP 47).")
    timezone: str | None = Field(None, description="An IANA name.")
    attributes: dict[str, Any] = Field(default_factory=dict, description="For templates and audiences.")


class RecipientPatch(BaseModel):
    """JSON merge patch (RFC 7396): what is left out stays, null empties, `attributes` are merged."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"locale": "de", "phone": None}]})

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    timezone: str | None = None
    attributes: dict[str, Any] | None = None


class DeviceWrite(BaseModel):
    """A push target."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"token": "fcm-registration-token", "platform": "android"}]}
    )

    token: str = Field(min_length=1, max_length=4096, description="The push service's registration token.")
    platform: Literal["android", "ios", "web"]


class DeviceView(BaseModel):
    """A push target; a token that the provider calls dead is disabled, with its reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DEVICE]})

    id: str
    platform: str
    token: str = Field(description="Masked.")
    created_at: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None

    @classmethod
    def of(cls, row: Device) -> "DeviceView":
        return cls.model_validate(row.model_dump(include=set(cls.model_fields)) | {"token": mask_token(row.token)})


class RecipientView(BaseModel):
    """A profile as kept, or as the external profile service gives it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "cus_42", **_PROFILE, "devices": [_DEVICE], "origin": "tidings", **_STAMPS}]
        }
    )

    id: str
    name: str | None
    email: str | None
    phone: str | None
    locale: str | None
    timezone: str | None
    attributes: dict[str, Any]
    devices: list[DeviceView]
    origin: ProfileOrigin
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Recipient, devices: Sequence[Device]) -> "RecipientView":
        shown = [DeviceView.of(device) for device in devices]
        return cls.model_validate(row.model_dump() | {"devices": shown, "origin": ProfileOrigin.TIDINGS})

    @classmethod
    def of_external(cls, profile: Profile) -> "RecipientView":
        devices = [
            DeviceView(
                id=device.id,
                platform=device.platform,
                token=mask_token(device.token),
                created_at=None,
                disabled_at=None,
                disabled_reason=None,
            )
            for device in profile.devices
        ]
        return cls(
            id=profile.recipient_id,
            name=profile.name,
            email=profile.email,
            phone=profile.phone,
            locale=profile.locale,
            timezone=profile.timezone,
            attributes=dict(profile.attributes),
            devices=devices,
            origin=ProfileOrigin.EXTERNAL,
            created_at=None,
            updated_at=None,
        )


class PreferenceWrite(BaseModel):
    """One choice; of two for the same category and channel the one with the later `time` holds."""

    model_config = ConfigDict(extra="forbid")

    category: Text
    channel: Channel
    opted_in: bool
    source: Annotated[Text, Field(description="Who said so.")] = "api"
    time: AwareDatetime | None = Field(None, description="When the recipient chose; now if left out.")


class PreferencesWrite(BaseModel):
    """Choices to keep; those that are not named stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"preferences": [{"category": "offers", "channel": "email", "opted_in": True}]}]
        },
    )

    preferences: list[PreferenceWrite] = Field(min_length=1, max_length=200)


class PreferenceView(BaseModel):
    """What holds for one category on one channel, and who said so."""

    category: str
    title: str
    channel: Channel
    opted_in: bool = Field(description="What holds now: the choice, else the category's default.")
    default: ConsentDefault = Field(description="`required` cannot be opted out of.")
    source: str | None = Field(description="Who made the choice; null while the default holds.")
    time: datetime | None


class PreferencesView(BaseModel):
    """Every category on every channel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recipient": "cus_42",
                    "preferences": [
                        {
                            "category": "offers",
                            "title": "Offers",
                            "channel": "email",
                            "opted_in": True,
                            "default": "opted_out",
                            "source": "api",
                            "time": "2026-11-22T10:15:00Z",
                        }
                    ],
                }
            ]
        }
    )

    recipient: str
    preferences: list[PreferenceView]


class AddressQuery(BaseModel):
    """An address; it stands in the body, since URLs end up in logs."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"channel": "email", "address": "jane@example.org"}]}
    )

    channel: Channel
    address: str = Field(min_length=1, max_length=4096, description="E-mail, E.164 number or device token.")


class SuppressionWrite(AddressQuery):
    """An address that must not be used."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"channel": "email", "address": "jane@example.org", "reason": "complaint"}]},
    )

    scope: Text = Field("all", description="`all`, or a category.")
    reason: Literal["manual", "hard_bounce", "complaint", "opted_out"] = "manual"


class SuppressionView(BaseModel):
    """A suppressed address, known only by its keyed hash. SMS and WhatsApp numbers are suppressed each on their own."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUPPRESSION]})

    id: str = Field(description="Keyed hash of the address, channel and scope.")
    channel: Channel
    scope: str
    reason: str
    source: str
    created_at: datetime

    @classmethod
    def of(cls, row: Suppression) -> "SuppressionView":
        shown = row.model_dump(include=set(cls.model_fields))
        return cls.model_validate(shown | {"id": f"{row.address_ref.hex()}.{row.channel}.{row.scope}"})


class SuppressionList(BaseModel):
    """Those of one address."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SUPPRESSION]}]})

    items: list[SuppressionView]
