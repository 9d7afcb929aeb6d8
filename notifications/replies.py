"""STOP and START, as recipients write them back to a sender of ours: nothing more on that channel, or again."""

import json
from enum import StrEnum

from notifications.addresses import address_ref
from notifications.consent import SCOPE_ALL
from notifications.database import Sessions, execute, transaction
from notifications.providers.receipts import Reply, SuppressReason
from notifications.queries import receipts as sql
from notifications.queries.recipients import suppress, unsuppress


class ReplyFate(StrEnum):
    """What became of a reply."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    DOUBLED = "doubled"  # it came before


class Replies:
    def __init__(self, sessions: Sessions, *, hash_key: bytes) -> None:
        self._sessions = sessions
        self._hash_key = hash_key

    async def take(self, reply: Reply) -> ReplyFate:
        """Keep it once and do what it says; an old START that is sent again does not undo a later STOP.

        START undoes STOP only: an address that bounced, or was suppressed by hand, stays so.
        """
        reference = address_ref(self._hash_key, reply.channel, reply.address)
        fate = ReplyFate.OPTED_OUT if reply.stops else ReplyFate.OPTED_IN
        kept = {
            "provider": reply.provider,
            "receipt_id": reply.receipt_id,
            "status": str(fate),
            "details": json.dumps({"address_ref": reference.hex(), "channel": str(reply.channel)}),
            "occurred_at": reply.received_at,
        }
        async with transaction(self._sessions) as session:
            if (await execute(session, sql.KEEP_REPLY, kept)).first() is None:
                return ReplyFate.DOUBLED
            if reply.stops:
                await suppress(
                    session, reference, reply.channel, SCOPE_ALL, SuppressReason.STOPPED, source=reply.provider
                )
            else:
                await unsuppress(session, reference, reply.channel, SCOPE_ALL, reason=SuppressReason.STOPPED)
        return fate
