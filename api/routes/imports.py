"""Imports: files of recipients, streamed in; what became of them, and the rows that were refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.collaborators import WorkflowsUnavailableError
from api.context import ApiContext, Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import (
    BAD_REQUEST,
    CONFLICT,
    INVALID,
    NOT_FOUND,
    TOO_LARGE,
    UNKNOWN_FORMAT,
    ProblemError,
    problem_responses,
)
from api.schemas.imports import ImportView
from api.streams import body_chunks
from api.texts import Text
from notifications.imports.cancelling import cancel_import
from notifications.imports.problems import FileError
from notifications.imports.refused import refused_rows
from notifications.imports.uploads import (
    FileTooLargeError,
    NewImport,
    UnknownImportError,
    UploadConflictError,
    Uploads,
)
from notifications.queries import imports as queries
from notifications.statuses import ImportFormat, ImportState
from notifications.tables import Import

log = structlog.get_logger()

router = APIRouter(prefix="/imports", tags=["imports"])

FORMATS = {
    "text/csv": ImportFormat.CSV,
    "application/x-ndjson": ImportFormat.NDJSON,
    "application/ndjson": ImportFormat.NDJSON,
}
_CSV = (
    "id,email,attributes.plan,consent.offers.email,consent_time\ncus_1,ana@example.org,pro,true,2026-03-01T09:00:00Z\n"
)
_JSON = '{"id": "cus_1", "email": "ana@example.org", "attributes": {"plan": "pro"}}\n'
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
            "application/x-ndjson": {"schema": {"type": "string"}, "example": _JSON},
        },
    }
}
_REFUSED = "refused.line,refused.column,refused.problem,id,email\r\n7,email,email: not an e-mail address,cus_6,ana\r\n"
ImportId = Annotated[UUID, Path(examples=["3f1c2a52-7a4e-4a55-9a0e-0b8f6a6f3b8e"])]


@router.post(
    "",
    status_code=202,
    summary="Import recipients from a file",
    description="The body is the file; it is taken as it comes. Rows are written once all of it is there. With an "
    "`Idempotency-Key` the same file is imported once, and an upload that broke off can be found and continued.",
    openapi_extra=_BODY,
    responses=problem_responses(INVALID, CONFLICT, UNKNOWN_FORMAT, BAD_REQUEST)
    | {200: {"model": ImportView, "description": "The import that this key stands for; the body was not read"}},
)
async def post_import(
    context: Context,
    request: Request,
    response: Response,
    *,
    name: Annotated[Text | None, Query(description="Of the file, to recognise it by.")] = None,
    dry_run: Annotated[bool, Query(description="Check and count everything, write nothing.")] = False,
    again: Annotated[bool, Query(description="Although an import with this key has finished.")] = False,
    idempotency_key: Annotated[Text | None, Header(description="Names the file.")] = None,
    content_type: Annotated[str | None, Header(description="`text/csv` or `application/x-ndjson`.")] = None,
) -> ImportView:
    wanted = NewImport(format=_format(content_type), key=idempotency_key, name=name, dry_run=dry_run)
    known = await _known(context, idempotency_key, again=again)
    if known is not None:
        response.status_code = 200
        return _view(context, known)
    async with _problems(context):
        row = await (await _uploads(context, request)).begin(wanted, body_chunks(request))
    response.headers["Location"] = f"/v1/imports/{row.id}"
    return await _uploaded(context, row)


@router.patch(
    "/{import_id}",
    status_code=202,
    summary="Continue an upload",
    description="The body is the rest of the file from `Upload-Offset` on, which has to be the import's "
    "`received_bytes`. At the end of the file it may be empty: then the import is started if it was not.",
    openapi_extra=_BODY,
    responses=problem_responses(NOT_FOUND, INVALID, CONFLICT, BAD_REQUEST),
)
async def patch_import(
    context: Context,
    request: Request,
    import_id: ImportId,
    upload_offset: Annotated[int, Header(ge=0, lt=2**63, description="In bytes.")],
) -> ImportView:
    row = await _find(context, import_id)
    if row.state != ImportState.WAITING or row.received_bytes != upload_offset:
        async with _problems(context):
            uploads = await _uploads(context, request, offset=upload_offset)
            row = await uploads.resume(import_id, upload_offset, body_chunks(request))
    return await _uploaded(context, row)


@router.get("", summary="List imports, newest first", responses=problem_responses(BAD_REQUEST, INVALID))
async def list_imports(
    context: Context,
    session: Session,
    key: Annotated[Text | None, Query(description="Those with this Idempotency-Key.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ImportView]:
    before = decode_cursor(cursor, time_position, UUID) if cursor is not None else None
    rows = await queries.list_imports(session, key=key, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    items = [_view(context, row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(last.created_at, last.id) if last else None)


@router.get("/{import_id}", summary="How far an import is", responses=problem_responses(NOT_FOUND, INVALID))
async def get_import(context: Context, import_id: ImportId) -> ImportView:
    return _view(context, await _find(context, import_id))


@router.get(
    "/{import_id}/refused",
    summary="The refused rows, as CSV",
    description="Each with its line, the columns that are wrong and what to do. Mended, the file can be imported as "
    "it is. Cells that a spreadsheet would take for formulas begin with an apostrophe, which an import takes off.",
    response_class=StreamingResponse,
    responses=problem_responses(NOT_FOUND, INVALID)
    | {200: {"description": "The rows", "content": {"text/csv": {"schema": {"type": "string"}, "example": _REFUSED}}}},
)
async def get_refused_rows(context: Context, import_id: ImportId) -> StreamingResponse:
    row = await _find(context, import_id)
    headers = {"Content-Disposition": f'attachment; filename="refused-{import_id}.csv"'}
    return StreamingResponse(refused_rows(context.sessions, row), media_type="text/csv", headers=headers)


@router.post(
    "/{import_id}/cancel",
    summary="Stop an import",
    description="What is written stays. Once more is the same as once.",
    responses=problem_responses(NOT_FOUND, INVALID, CONFLICT),
)
async def post_import_cancel(context: Context, import_id: ImportId) -> ImportView:
    try:
        row = await cancel_import(context.sessions, import_id)
    except UnknownImportError:
        raise _unknown(import_id) from None
    if row.state != ImportState.CANCELLED:
        raise ProblemError(CONFLICT, f"the import is {row.state}: nothing is left to stop")
    log.info("import.cancelled", import_id=str(import_id))
    return _view(context, row)


def _format(content_type: str | None) -> ImportFormat:
    found = FORMATS.get((content_type or "").partition(";")[0].strip().lower())
    if found is None:
        raise ProblemError(UNKNOWN_FORMAT, "Content-Type must be text/csv or application/x-ndjson")
    return found


async def _known(context: ApiContext, key: str | None, *, again: bool) -> Import | None:
    """The import that the key stands for, if its file is whole."""
    if key is None:
        return None
    async with context.sessions() as session:
        found = await queries.newest_with_key(session, key)
    if found is None or (again and ImportState(found.state).is_final):
        return None
    if found.state == ImportState.UPLOADING:
        raise _unfinished(context, found)
    return found


async def _uploads(context: ApiContext, request: Request, *, offset: int = 0) -> Uploads:
    """Raises FileTooLargeError for what is declared to be too large, before it is sent."""
    max_bytes = context.settings.import_max_bytes
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and offset + int(declared) > max_bytes:
        raise FileTooLargeError(declared=True)
    published = await context.catalogue.current()
    return Uploads(context.sessions, published.categories, max_bytes=max_bytes)


async def _uploaded(context: ApiContext, row: Import) -> ImportView:
    """Have its rows written. What cannot be started now, reconciliation starts: nothing more is asked of the sender."""
    log.info("import.uploaded", import_id=str(row.id), rows=row.rows, refused=row.refused)
    try:
        await context.workflows.start_import(row.id)
    except WorkflowsUnavailableError:
        log.warning("import.not_started", import_id=str(row.id))
    return _view(context, row)


async def _find(context: ApiContext, import_id: UUID) -> Import:
    async with context.sessions() as session:
        row = await session.get(Import, import_id)
    if row is None:
        raise _unknown(import_id)
    return row


@asynccontextmanager
async def _problems(context: ApiContext) -> AsyncIterator[None]:
    try:
        yield
    except FileError as error:
        raise ProblemError(INVALID, str(error)) from None
    except FileTooLargeError as error:
        most = context.settings.import_max_bytes
        detail = f"the file is larger than {most} bytes: split it, or raise TIDINGS_IMPORT_MAX_BYTES of the API"
        # A body without an end is not waited for; of another one the rest is taken, so that its sender hears this.
        raise ProblemError(TOO_LARGE, detail, headers=None if error.declared else {"Connection": "close"}) from None
    except UploadConflictError as error:
        raise _unfinished(context, error.found) from None
    except UnknownImportError as error:
        raise ProblemError(NOT_FOUND, f"no import {error}") from None


def _unfinished(context: ApiContext, row: Import) -> ProblemError:
    here = f"/v1/imports/{row.id}"
    if row.state == ImportState.UPLOADING:
        detail = f"the upload goes on at byte {row.received_bytes}: PATCH {here} with Upload-Offset"
    else:
        detail = f"the import is {row.state} and has all of its file: GET {here}"
    view = _view(context, row).model_dump(mode="json")
    return ProblemError(CONFLICT, detail, **{"import": view})


def _unknown(import_id: UUID) -> ProblemError:
    return ProblemError(NOT_FOUND, f"no import {import_id}")


def _view(context: ApiContext, row: Import) -> ImportView:
    return ImportView.of(row, context.links.public_url)
