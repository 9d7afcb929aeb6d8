"""What the demo leaves behind: a table on the terminal and `.tidings/demo.json`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from devstack.demo.campaign import CampaignEnding
from devstack.demo.story import Ending
from devstack.state import Endpoints


def document(endings: Sequence[Ending], campaign: CampaignEnding) -> dict[str, Any]:
    """The outcome for scripts: per event its id, the final status of each message and what the inbox received."""
    return {
        "ok": not campaign.problems and not any(ending.problems for ending in endings),
        "events": [_event(ending) for ending in endings],
        "campaign": campaign.document(),
    }


def _event(ending: Ending) -> dict[str, Any]:
    notification = ending.answer.get("notification") or {}
    rejections = ending.answer.get("rejections", [])
    return {
        "scene": ending.scene.name,
        "story": ending.scene.story,
        "source": ending.scene.source,
        "event_id": ending.scene.event_id,
        "notification_id": ending.scene.notification_id if notification else None,
        "status": "rejected" if rejections else notification.get("status"),
        "rejections": [{"reason": each["reason"], "detail": each["detail"]} for each in rejections],
        "was_stuck": ending.was_stuck,
        "seconds": round(ending.seconds, 2),
        "messages": [
            {
                "seq": message["seq"],
                "id": message["id"],
                "channel": message["channel"],
                "status": message["status"],
                "reason": message["reason"],
                "attempts": [attempt["outcome"] for attempt in message["attempts"]],
                "received": [
                    {"id": entry["id"], "to": entry["to"], "content": entry["content"]}
                    for entry in ending.received.get(message["seq"], [])
                ],
            }
            for message in notification.get("messages", [])
        ],
        "problems": ending.problems,
    }


def write(file: Path, what: Mapping[str, Any]) -> None:
    """Complete or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(what, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(file)


def show(console: Console, endings: Sequence[Ending]) -> None:
    table = Table(title="What came of each event", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "event", "ended", "messages → received"):
        table.add_column(heading, overflow="fold")
    for ending in endings:
        mark = Text("✗", style="red") if ending.problems else Text("✓", style="green")
        event = _event(ending)
        lines = [
            f"{message['channel']} {message['status']}"
            + (f" ({message['reason']})" if message["reason"] else "")
            + (f", {len(message['attempts'])} tries" if len(message["attempts"]) > 1 else "")
            + f" → {len(message['received'])}"
            for message in event["messages"]
        ]
        lines += [f"{each['reason']}: {each['detail']}" for each in event["rejections"]]
        name = Text.assemble((ending.scene.name, "bold"), "\n", (ending.scene.story, "dim"))
        table.add_row(mark, name, str(event["status"]), "\n".join(lines) or "-")
        for problem in ending.problems:
            table.add_row("", Text(problem, style="red"), "", "")
    console.print(Padding(table, (1, 0)))


def show_campaign(console: Console, ending: CampaignEnding) -> None:
    """The account beside what the mail server counted."""
    counts = ending.by_status
    skipped = ", ".join(f"{reason} {count:,}" for reason, count in ending.account.get("skipped", {}).items())
    table = Table(title=f"The campaign, {ending.seconds:.0f} s", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "account", "mail server"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("targeted", f"{ending.account.get('targeted', 0):,}", "")
    table.add_row("sent", f"{counts.get('sent', 0):,}", f"{ending.accepted:,}")
    table.add_row(f"skipped ({skipped})" if skipped else "skipped", f"{counts.get('skipped', 0):,}", "")
    table.add_row("unknown", f"{counts.get('unknown', 0):,}", "")
    table.add_row("duplicates", "", f"{ending.duplicates:,}")
    if ending.last_mail_seconds is not None:
        table.add_row("last mail after the pause", "", f"{ending.last_mail_seconds:.2f} s")
    console.print(Padding(table, (1, 0)))
    for problem in ending.problems:
        console.print(Text(f"✗ {problem}", style="red"))


def show_what_to_try(console: Console, endpoints: Endpoints) -> None:
    """What to open, and what to do with it."""
    lines = [
        ("See", f"{endpoints.sandbox}", "the phones and mailboxes, with a switch for each provider"),
        ("Inspect", f"{endpoints.temporal_ui}", 'every workflow; search DeliveryStatus="stuck"'),
        ("Ask", f"{endpoints.api}/docs", "the API; its token is in .tidings/env"),
        ("Explain", "python -m tidings explain EVENT_ID", "what became of an event, and why"),
    ]
    table = Table(box=None, show_header=False, pad_edge=False)
    for verb, where, what in lines:
        table.add_row(Text(verb, style="bold"), Text(where, style="cyan"), Text(what, style="dim"))
    own = Group(
        Text("Your own event in a minute (another terminal, after `. .venv/bin/activate`):", style="bold"),
        Text(
            "  python -m tidings new order.refunded        # writes catalogue/order.refunded; edit, save: it is applied"
        ),
        Text("  python -m tidings send --example order.refunded --wait"),
        Text("Break it: switch a provider off in the inbox page and send `payment.succeeded` again; after 20 s the"),
        Text("delivery is stuck. Switch it on, open the workflow in the Temporal UI, Send a Signal: retry."),
    )
    console.print(table)
    console.print(Padding(own, (1, 0)))
