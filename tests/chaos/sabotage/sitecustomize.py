"""Takes one safeguard out of the processes that start with this folder on PYTHONPATH (`make chaos-selftest`).

Python imports a module of this name at its start. TIDINGS_CHAOS_SABOTAGE names the safeguard; the module that has it
is loaded with that piece of its source replaced, nothing in the product knows of it.
"""

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType

# safeguard: module, what stands there, what stands there instead
SAFEGUARDS = {
    "fence": (
        "notifications.queries.claim",
        (
            "        WHEN status = 'sending' AND scheduled_at <= try_scheduled_at THEN 'superseded'\n"
            "        WHEN status = 'sending' AND claimed_at > now() - %(call_window)s THEN 'superseded'\n"
        ),
        "",
    ),
    "claim": (
        "notifications.queries.claim",
        "        WHEN status NOT IN ('pending', 'sending') THEN 'final'\n",
        "        WHEN true THEN 'claimed'\n",
    ),
    "epoch": (
        "notifications.queries.ranges",
        " AND r.epoch = %(epoch)s\n    FOR SHARE OF r\n",
        "\n    FOR SHARE OF r\n",
    ),
    "window": (
        "notifications.queries.ranges",
        " AND m.claimed_at <= now() - %(answer_window)s)",
        ")",
    ),
    "order": (
        "bridge.consumer",
        "mark.hand_out(record.offset)\n",
        "mark.hand_out(record.offset); mark.finish(record.offset)\n",
    ),
}


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, old: str, new: str) -> None:
        super().__init__(name, path)
        self._old, self._new = old, new

    def get_code(self, fullname: str) -> CodeType:
        """Always from the source: what is compiled and kept is the product as it is."""
        source = self.get_data(self.path).decode()
        if source.count(self._old) != 1:
            sys.exit(f"{fullname} has changed: mend the sabotage in {__file__}")
        return self.source_to_code(source.replace(self._old, self._new), self.path)


class _Saboteur(MetaPathFinder):
    def __init__(self, target: str, old: str, new: str) -> None:
        self._target, self._old, self._new = target, old, new

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._target:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is not None and found.origin is not None:
            found.loader = _Loader(fullname, found.origin, self._old, self._new)
        return found


if _wanted := os.environ.get("TIDINGS_CHAOS_SABOTAGE"):
    sys.meta_path.insert(0, _Saboteur(*SAFEGUARDS[_wanted]))
