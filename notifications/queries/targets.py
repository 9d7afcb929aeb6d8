"""Whom a campaign reaches at which address, and why not: one SELECT over an audience, one row for each delivery.

The same text is asked in two ways. Over a whole audience Postgres joins tables as wholes. In a snapshot's block each
recipient's choices, devices and suppressions are looked up by key, whatever the statistics say (docs/adr/0020).
"""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from notifications.statuses import Channel

_BY_KEY = "OFFSET 0"

# Of a recipient `r`, or of a device `d`.
_ADDRESS = {
    Channel.EMAIL: ("r.email", "r.email_ref"),
    Channel.SMS: ("r.phone", "r.phone_ref"),
    Channel.WHATSAPP: ("r.phone", "r.phone_ref"),
    Channel.PUSH: ("d.token", "d.token_ref"),
}

# A recipient who does not want the category gets one row, however many devices there are.
_JUDGED = """
SELECT a.*, a.address IS NULL AS is_missing, {is_suppressed} AS is_suppressed
FROM (
    SELECT {id} AS recipient_id, r.id IS NULL AS is_unknown, r.locale, o.is_refused, o.consent,
           {address} AS address, {ref} AS address_ref, {device_id} AS device_id
    FROM {rows}
    LEFT JOIN LATERAL (
        SELECT p.opted_in FROM preferences p
        WHERE p.recipient_id = r.id AND p.category = :category AND p.channel = :channel AND NOT :required {by_key}
    ) p ON true
    CROSS JOIN LATERAL (
        SELECT r.id IS NOT NULL AND NOT :required AND NOT coalesce(p.opted_in, :default_opted_in) AS is_refused,
               CASE WHEN :required THEN 'required' WHEN p.opted_in IS NULL THEN 'default' ELSE 'tidings' END AS consent
    ) o
    {devices}
    WHERE {where}
) a
{suppressions}
{by_key}
"""
_SUPPRESSING = "s.channel = :channel AND (s.scope = 'all' OR s.scope = :category AND NOT :required)"
_IS_SUPPRESSED = f"EXISTS (SELECT FROM suppressions s WHERE s.address_ref = a.address_ref AND {_SUPPRESSING} {_BY_KEY})"
# Joined, since Postgres asks no EXISTS in parallel.
_SUPPRESSIONS = f"""LEFT JOIN (SELECT DISTINCT s.address_ref FROM suppressions s WHERE {_SUPPRESSING}) s
    ON s.address_ref = a.address_ref"""
# The order in which planning looks for a reason, too.
_SKIP = """CASE WHEN is_unknown THEN 'unknown_recipient' WHEN is_refused THEN 'opted_out'
            WHEN is_missing THEN 'no_address' WHEN is_suppressed THEN 'suppressed' END"""
# The address of one who is not written to by choice is not needed any more.
_TARGETS = f"""
SELECT recipient_id, device_id, locale, {_SKIP} AS skip,
       CASE WHEN NOT is_refused THEN address END AS address,
       CASE WHEN NOT is_refused THEN address_ref END AS address_ref,
       CASE WHEN is_refused THEN 'required' ELSE consent END AS consent
FROM ({{judged}}) j
"""
# Grouped by what is true or false, since Postgres then knows that there are few groups, and counts in parallel.
_REACH = f"""
SELECT {_SKIP} AS skip, sum(messages) AS messages FROM (
    SELECT is_unknown, is_refused, is_missing, is_suppressed, count(*) AS messages
    FROM ({{judged}}) j GROUP BY 1, 2, 3, 4
) g GROUP BY 1
"""
_DEVICES = """LEFT JOIN LATERAL (
        SELECT d.id, d.token, d.token_ref FROM devices d
        WHERE d.recipient_id = r.id AND d.disabled_at IS NULL {by_key}
    ) d ON NOT o.is_refused"""


# What is asked of a whole audience may read whole tables, and is planned for its own values.
READ_WHOLE_TABLES = """
SELECT set_config('enable_seqscan', 'on', true), set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('work_mem', '64MB', true)
"""


@dataclass(frozen=True, slots=True)
class Source:
    """An audience as SQL: `rows` gives recipients as `r`, all null where there is none with the id, and `where` says
    which. `ids` is the table that a snapshot reads in the order of `id`, and which of its rows; None: there are few
    recipients, and they go in one block.
    """

    rows: str
    id: str
    where: str = "true"
    parameters: dict[str, Any] = field(default_factory=dict)
    ids: tuple[str, str] | None = None

    def between(self, after: str, upto: str | None) -> "Source":
        """Only those whose ids come after `after`, up to and with `upto`."""
        bounds, parameters = f"{self.id} > CAST(:after AS text)", self.parameters | {"after": after}
        if upto is not None:
            bounds, parameters = f"{bounds} AND {self.id} <= CAST(:upto AS text)", parameters | {"upto": upto}
        return replace(self, where=f"{bounds} AND {self.where}", parameters=parameters)


_LISTED = "LEFT JOIN LATERAL (SELECT * FROM recipients WHERE id = m.recipient_id {by_key}) r ON true"


def everybody() -> Source:
    return Source("recipients r", "r.id", ids=("recipients r", "true"))


def filtered(where: str, parameters: dict[str, Any]) -> Source:
    return Source("recipients r", "r.id", where, parameters, ids=("recipients r", "true"))


def members(audience_id: UUID) -> Source:
    where = "m.audience_id = :audience_id"
    table = "audience_members m"
    return Source(f"{table} {_LISTED}", "m.recipient_id", where, {"audience_id": audience_id}, (table, where))


def named(ids: tuple[str, ...]) -> Source:
    return Source(f"unnest(CAST(:ids AS text[])) m (recipient_id) {_LISTED}", "m.recipient_id", "true", {"ids": [*ids]})


def targets(source: Source, channel: Channel, *, by_key: bool) -> str:
    """The SELECT: recipient_id, device_id, locale, address, address_ref, consent and skip (null: is written to).

    Its parameters are the source's, `channel`, `category`, `required` and `default_opted_in`.
    """
    return _TARGETS.format(judged=_judged(source, channel, by_key=by_key))


def _judged(source: Source, channel: Channel, *, by_key: bool) -> str:
    address, ref = _ADDRESS[channel]
    is_push = channel is Channel.PUSH
    end = _BY_KEY if by_key else ""
    return _JUDGED.format(
        id=source.id,
        rows=source.rows.format(by_key=end),
        where=source.where,
        address=address,
        ref=ref,
        device_id="d.id" if is_push else "CAST(NULL AS text)",
        devices=_DEVICES.format(by_key=end) if is_push else "",
        is_suppressed=_IS_SUPPRESSED if by_key else "s.address_ref IS NOT NULL",
        suppressions="" if by_key else _SUPPRESSIONS,
        by_key=end,
    )


def unhashed(source: Source, channel: Channel) -> str:
    """Addresses of the audience whose keyed hash nobody wrote yet: recipient_id, device_id and address, by key."""
    address, ref = _ADDRESS[channel]
    is_push = channel is Channel.PUSH
    devices = "JOIN devices d ON d.recipient_id = r.id AND d.disabled_at IS NULL" if is_push else ""
    return f"""
SELECT r.id AS recipient_id, {"d.id" if is_push else "CAST(NULL AS text)"} AS device_id, {address} AS address
FROM {source.rows.format(by_key=_BY_KEY)} {devices}
WHERE {source.where} AND {address} IS NOT NULL AND {ref} IS NULL
"""


def count(source: Source) -> str:
    """How many recipients the audience names, and how many of them are known."""
    return f"SELECT count(*) AS named, count(r.id) AS known FROM {source.rows.format(by_key='')} WHERE {source.where}"


def reach(source: Source, channel: Channel) -> str:
    """How many messages there are of each `skip`."""
    return _REACH.format(judged=_judged(source, channel, by_key=False))


def sample(source: Source, channel: Channel) -> str:
    """Some of those who are written to."""
    return f"SELECT * FROM ({targets(source, channel, by_key=False)}) t WHERE skip IS NULL LIMIT :limit"
