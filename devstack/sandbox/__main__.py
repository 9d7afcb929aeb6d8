"""`python -m devstack.sandbox`: run the sandbox until SIGTERM or Ctrl-C; one JSON line says when it is ready."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import uvloop

from devstack.sandbox.server import Sandbox, SandboxOptions


def _options(arguments: list[str]) -> SandboxOptions:
    parser = argparse.ArgumentParser(prog="python -m devstack.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=8025, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--smtp-port", type=int, default=1025, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--service-account", type=Path, help="file that keeps FCM's credentials over restarts")
    parser.add_argument("--seed", type=int, help="of the random numbers behind fault rates")
    parser.add_argument("--inbox-size", type=int, default=10_000, help="messages kept (default: %(default)s)")
    parser.add_argument("--webhooks", help="where receipts go, such as http://127.0.0.1:8000/webhooks")
    options = SandboxOptions(**vars(parser.parse_args(arguments)))
    # A secret has no place among arguments, which everybody on the machine can read.
    options.secret = os.environ.get("TIDINGS_DEV_SANDBOX_SECRET") or options.secret
    return options


async def run(options: SandboxOptions) -> None:
    """Serve until a signal says to stop."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    sandbox = Sandbox(options)
    try:
        await sandbox.start()
        print(json.dumps(sandbox.addresses()), flush=True)  # noqa: T201 - the supervisor reads this line
        await stop.wait()
    finally:
        await sandbox.stop()


def main() -> int:
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(run(_options(sys.argv[1:])))
    except (OSError, ValueError) as error:
        print(f"sandbox: {error}; give another port, 0 for any free one", file=sys.stderr)  # noqa: T201 - to a person
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
