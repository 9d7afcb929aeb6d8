"""Conditions judged in Python, to compare with what they are as SQL; and recipients to judge."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.conditions import (
    TIME_FIELDS,
    AllOf,
    AnyOf,
    Condition,
    Leaf,
    Not,
    Now,
    Op,
    Scalar,
    parse_instant,
)
from notifications.database import Sessions, transaction
from notifications.tables import Recipient


def holds(condition: Condition, profile: Mapping[str, Any], now: datetime) -> bool:
    """`profile` has the columns of a recipient."""
    match condition:
        case AllOf(of):
            return all(holds(each, profile, now) for each in of)
        case AnyOf(of):
            return any(holds(each, profile, now) for each in of)
        case Not(of):
            return not holds(of, profile, now)
        case Leaf():
            return _leaf(condition, _found(condition.path, profile), now)


def _found(path: tuple[str, ...], profile: Mapping[str, Any]) -> Any:
    found: Any = profile
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _leaf(leaf: Leaf, found: Any, now: datetime) -> bool:
    if leaf.op is Op.EXISTS:
        return (found is not None) is leaf.value
    if found is None:
        return False
    if leaf.op is Op.PREFIX:
        return isinstance(found, str) and found.startswith(str(leaf.value))
    if leaf.op.is_comparison:
        return _compared(leaf, found, now)
    wanted = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    return any(_same(found, each) for each in wanted) is (leaf.op is not Op.NE)


def _same(found: Any, value: Any) -> bool:
    """Of one kind and equal: 1 is 1.0, and neither is true."""
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, int | float):
        return not isinstance(value, str) and _number(found) == value
    return type(found) is type(value) and bool(found == value)


def _compared(leaf: Leaf, found: Any, now: datetime) -> bool:
    value: Any = now + leaf.value.offset if isinstance(leaf.value, Now) else leaf.value
    if isinstance(value, datetime):
        at = parse_instant(found) if isinstance(found, str) and leaf.path[0] not in TIME_FIELDS else found
        if not isinstance(at, datetime):
            return False
        found = at
    elif isinstance(found, bool) or not isinstance(found, int | float):
        return False
    else:
        found = _number(found)
    return {
        Op.LT: found < value,
        Op.LTE: found <= value,
        Op.GT: found > value,
        Op.GTE: found >= value,
    }[leaf.op]


def _number(found: Scalar | float) -> int | Decimal:
    """As it is written, which is how Postgres keeps it."""
    return Decimal(repr(found)) if isinstance(found, float) else int(found)


async def insert_recipients(sessions: Sessions, rows: Iterable[Mapping[str, Any]]) -> None:
    async with transaction(sessions) as session:
        await add_recipients(session, rows)


async def add_recipients(session: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> None:
    session.add_all(Recipient(**({"attributes": {}} | dict(row))) for row in rows)
    await session.flush()
