"""What `make dev` prints when everything runs."""

from rich.console import Console

from devstack.links import links_table
from devstack.state import Endpoints


def test_the_pages_for_people_are_among_them() -> None:
    named = {name: f"{name}.test" for name in ("postgres", "kafka", "temporal", "temporal_ui", "sandbox", "smtp")}
    endpoints = Endpoints(api="http://127.0.0.1:8000", metrics={}, **named)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(links_table(endpoints))
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert "Inbox sandbox.test phones and mailboxes" in lines
    assert "Campaigns http://127.0.0.1:8000/campaigns watch and steer them" in lines
