"""What `make dev` prints when everything runs."""

from rich.console import Console

from devstack.links import links_table
from devstack.state import Endpoints


def test_the_usual_addresses_fit_a_terminal_of_80_columns() -> None:
    endpoints = Endpoints(
        postgres="postgresql://postgres@127.0.0.1:15432/postgres",
        kafka="127.0.0.1:19092",
        temporal="127.0.0.1:7233",
        temporal_ui="http://127.0.0.1:8233",
        api="http://127.0.0.1:8000",
        sandbox="http://127.0.0.1:8025",
        smtp="127.0.0.1:1025",
        metrics={},
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(links_table(endpoints))
    assert "…" not in capture.get()
    assert "PostgreSQL " in capture.get()
    assert len(capture.get().splitlines()) == 1 + 9  # the title, and a line for each


def test_the_pages_for_people_are_among_them() -> None:
    named = {name: f"{name}.test" for name in ("postgres", "kafka", "temporal", "temporal_ui", "sandbox", "smtp")}
    endpoints = Endpoints(api="http://127.0.0.1:8000", metrics={}, **named)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(links_table(endpoints))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert "Inbox sandbox.test phones, mailboxes" in lines
    assert "Campaigns http://127.0.0.1:8000/campaigns watch, pause, stop" in lines
