"""What a claimed message says: the event and the profile as planned, rendered by the pinned definition."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, execute_alone
from notifications.ledger import Claim
from notifications.providers.base import OutgoingMessage
from notifications.rendering.errors import RenderError
from notifications.rendering.render import RenderContext, Renderer
from notifications.unsubscribe import LinkTooLongError, MessageLinks, UnsubscribeLinks, with_headers

_CONTEXT = """
SELECT n.event, n.guest, coalesce(n.due_at, n.received_at) AS due_since, p.profile FROM notifications n
JOIN plans p ON p.notification_id = n.id AND p.plan_version = %(plan_version)s WHERE n.id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """`due_since` is when the message might have gone out at the earliest; latency counts from there."""

    message: OutgoingMessage
    due_since: datetime


class Rendering(Protocol):
    async def render(self, claim: Claim) -> Rendered: ...


class Contents:
    def __init__(
        self, sessions: Sessions, *, catalogue: CatalogueStore, renderer: Renderer, links: UnsubscribeLinks
    ) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._renderer = renderer
        self._links = links

    async def render(self, claim: Claim) -> Rendered:
        """Render a claimed message.

        Raises:
            RenderError: the template and the event do not fit; names the file and the line.

        """
        definition = await self._catalogue.version(claim.definition, claim.definition_version)
        where = {"id": claim.origin_id, "plan_version": claim.plan_version}
        (row,) = await execute_alone(self._sessions, _CONTEXT, where)
        event = dict(row.event)
        data = event.pop("data", {})
        recipient = {name: row.profile.get(name) for name in ("id", "name", "locale", "timezone", "attributes")}
        if row.guest is not None:
            recipient |= row.guest
        links = self._links_of(claim)
        variables = links.variables() if links is not None else None
        context = RenderContext(data=data, recipient=recipient, event=event, locale=claim.locale, links=variables)
        content = self._renderer.render(definition, claim.channel, context)
        message = OutgoingMessage(
            origin_id=claim.origin_id,
            seq=claim.seq,
            attempt=claim.attempt,
            channel=claim.channel,
            address=claim.address or "",
            content=with_headers(content, links) if links is not None else content,
            recipient_name=recipient.get("name"),
            ttl=claim.expires_at - datetime.now(UTC),
        )
        return Rendered(message, row.due_since)

    def _links_of(self, claim: Claim) -> MessageLinks | None:
        try:
            return self._links.of_claim(claim)
        except LinkTooLongError as error:
            raise RenderError(claim.definition, 1, str(error)) from None

    async def newest_version(self, name: str) -> int | None:
        """The version that a retry of a template error takes; None where the definition is gone."""
        definition = (await self._catalogue.current()).definitions.get(name)
        return definition.version if definition is not None else None
