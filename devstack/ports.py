"""Where the dev stack listens: fixed addresses, so that links and bookmarks keep working; others only if taken."""

import random
import socket
from collections.abc import Mapping
from itertools import islice

HOST = "127.0.0.1"
_SERVER_PORTS = range(20000, 30000)
DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 15432,
    "kafka": 19092,
    "temporal": 7233,
    "temporal_ui": 8233,
    "api": 8000,
    "sandbox": 8025,
    "smtp": 1025,
    "bridge_metrics": 9401,
    "orchestrator_metrics": 9402,
    "channels_metrics": 9403,
    "bulk_metrics": 9404,
}


def is_free(port: int) -> bool:
    """Whether a server could listen there now: nobody does, and nobody answers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    # macOS lets two sockets bind where one of them has the wildcard address.
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) != 0


def free_ports(count: int) -> list[int]:
    """Distinct ports where nobody listens.

    Below those that the system gives to clients: one that asks again and again for a server that is down could be
    given the server's own port, and keep it.
    """
    candidates = (port for port in random.sample(_SERVER_PORTS, len(_SERVER_PORTS)) if is_free(port))
    return list(islice(candidates, count))


def ports_apart() -> dict[str, int]:
    """For a stack that takes servers down: at the usual addresses another stack would find it, and its workers come."""
    return dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))


def choose_ports(wanted: Mapping[str, int] = DEFAULT_PORTS) -> tuple[dict[str, int], list[str]]:
    """A port for each name, and one plain sentence for each that is not the usual one."""
    taken = [name for name, port in wanted.items() if not is_free(port)]
    chosen = {**wanted, **dict(zip(taken, free_ports(len(taken)), strict=True))}
    return chosen, [f"port {wanted[name]} is taken: {name} listens on {chosen[name]}" for name in taken]
