"""Recipients: profiles, devices and choices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from api import recipient_profiles as profiles
from api.context import Context, Session
from api.problems import (
    CONSENT_REQUIRED,
    INVALID,
    NOT_FOUND,
    PROFILES_ELSEWHERE,
    UNAVAILABLE,
    ProblemError,
    problem_responses,
)
from api.schemas.recipients import (
    DeviceView,
    DeviceWrite,
    PreferencesView,
    PreferencesWrite,
    RecipientPatch,
    RecipientView,
    RecipientWrite,
)
from api.texts import Text
from notifications.queries import recipients

router = APIRouter(prefix="/recipients/{recipient_id}", tags=["recipients"])

RecipientId = Annotated[Text, Path(description="The producer's own id of the person.", examples=["cus_42"])]
DeviceId = Annotated[Text, Path(examples=["pixel-8"])]


def _own(context: Context) -> None:
    profiles.require_own_profiles(context)


WRITES_HERE = [Depends(_own)]


@router.put(
    "",
    summary="Create or replace a profile",
    dependencies=WRITES_HERE,
    responses=problem_responses(INVALID, PROFILES_ELSEWHERE)
    | {201: {"model": RecipientView, "description": "Created"}},
)
async def put_recipient(
    context: Context, session: Session, response: Response, recipient_id: RecipientId, wanted: RecipientWrite
) -> RecipientView:
    is_new = await profiles.replace_recipient(context, session, recipient_id, wanted)
    response.status_code = 201 if is_new else 200
    return await profiles.read_recipient(context, session, recipient_id)


@router.get("", summary="One profile with its devices", responses=problem_responses(NOT_FOUND, INVALID, UNAVAILABLE))
async def get_recipient(context: Context, session: Session, recipient_id: RecipientId) -> RecipientView:
    return await profiles.read_recipient(context, session, recipient_id)


@router.patch(
    "",
    summary="Change some of a profile",
    dependencies=WRITES_HERE,
    responses=problem_responses(NOT_FOUND, INVALID, PROFILES_ELSEWHERE),
)
async def patch_recipient(
    context: Context, session: Session, recipient_id: RecipientId, patch: RecipientPatch
) -> RecipientView:
    await profiles.patch_recipient(context, session, recipient_id, patch)
    return await profiles.read_recipient(context, session, recipient_id)


@router.delete(
    "",
    status_code=204,
    summary="Remove a profile with its devices and choices",
    description="Suppressions stay: they name no person.",
    dependencies=WRITES_HERE,
    responses=problem_responses(NOT_FOUND, INVALID, PROFILES_ELSEWHERE),
)
async def delete_recipient(session: Session, recipient_id: RecipientId) -> None:
    if not await recipients.delete_recipient(session, recipient_id):
        raise ProblemError(NOT_FOUND, f"no recipient {recipient_id}")


@router.put(
    "/devices/{device_id}",
    summary="Register a device for push",
    description="A token that another device had is taken from it.",
    dependencies=WRITES_HERE,
    responses=problem_responses(NOT_FOUND, INVALID, PROFILES_ELSEWHERE),
)
async def put_device(
    context: Context, session: Session, recipient_id: RecipientId, device_id: DeviceId, device: DeviceWrite
) -> DeviceView:
    await profiles.require_recipient(session, recipient_id)
    await recipients.upsert_device(
        session, recipient_id, device_id, device.token, device.platform, hash_key=context.hash_key
    )
    rows = await recipients.list_devices(session, recipient_id)
    return next(DeviceView.of(row) for row in rows if row.id == device_id)


@router.delete(
    "/devices/{device_id}",
    status_code=204,
    summary="Forget a device",
    dependencies=WRITES_HERE,
    responses=problem_responses(NOT_FOUND, INVALID, PROFILES_ELSEWHERE),
)
async def delete_device(session: Session, recipient_id: RecipientId, device_id: DeviceId) -> None:
    if not await recipients.delete_device(session, recipient_id, device_id):
        raise ProblemError(NOT_FOUND, f"no device {device_id} of a recipient {recipient_id}")


@router.get("/preferences", summary="Every category on every channel", responses=problem_responses(INVALID))
async def get_preferences(context: Context, session: Session, recipient_id: RecipientId) -> PreferencesView:
    return await profiles.read_preferences(context, session, recipient_id)


@router.put(
    "/preferences",
    summary="Keep choices",
    description="Those that are not named stay. A choice is kept with its source and time, and wins over an external "
    "profile service.",
    responses=problem_responses(NOT_FOUND, INVALID, CONSENT_REQUIRED),
)
async def put_preferences(
    context: Context, session: Session, recipient_id: RecipientId, wanted: PreferencesWrite
) -> PreferencesView:
    return await profiles.write_preferences(context, session, recipient_id, wanted)
