import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

from notifications.catalogue.publish import apply_folder
from notifications.database import Sessions
from tests.api.support import unique
from tests.support.commands import run_command

CATALOGUE = Path(__file__).parents[2] / "catalogue"


@pytest.fixture
async def test_send(database_url: str, sessions: Sessions, sandbox_url: str, sandbox_smtp_port: int) -> Any:
    await apply_folder(CATALOGUE, sessions)
    env = {
        "TIDINGS_DATABASE_URL": database_url,
        "TIDINGS_DEV_SANDBOX_URL": sandbox_url,
        "TIDINGS_DEV_SANDBOX_SMTP_PORT": str(sandbox_smtp_port),
    }

    async def run(*arguments: str, **more: str) -> Result:
        return await run_command("test-send", *arguments, env=env | more)

    return run


async def test_the_example_arrives_in_the_inbox(test_send: Any, sandbox_url: str) -> None:
    to = f"{unique('jane')}@example.org"
    result = await test_send("payment.succeeded", "--channel", "email", "--to", to, "--locale", "de", "--json")
    assert result.exit_code == 0, result.output
    tested = json.loads(result.stdout)
    assert (tested["provider"], tested["to"]) == ("smtp", "j•••@example.org")
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        inbox = (await client.get("/api/inbox", params={"channel": "email", "to": to})).text
    assert "49,90" in inbox, "the German text"


async def test_the_first_provider_of_the_settings_is_used(test_send: Any, sandbox_url: str) -> None:
    to = f"{unique('jane')}@example.org"
    command = ("payment.succeeded", "--channel", "email", "--to", to, "--json")
    result = await test_send(*command, TIDINGS_EMAIL_PROVIDERS="sendgrid,smtp")
    assert result.exit_code == 0, result.output
    tested = json.loads(result.stdout)
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        (entry,) = (await client.get("/api/inbox", params={"to": to})).json()["items"]
    assert (entry["provider"], tested["provider"]) == ("sendgrid", "sendgrid")
    assert entry["provider_message_id"] == tested["provider_message_id"]
    assert "49.90" in entry["content"]["text"]
    assert "49.90" in entry["content"]["html"]


async def test_a_phone_in_any_spelling(test_send: Any) -> None:
    result = await test_send("auth.otp", "--channel", "sms", "--to", "+49 151 1234 5678")
    assert result.exit_code == 0, result.output
    assert "accepted by twilio for +49•••678" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("payment.suceeded", "--channel", "email", "--to", "j@example.org"), "did you mean payment.succeeded?"),
        (("payment.succeeded", "--channel", "sms", "--to", "+4915112345678"), "no template for sms"),
        (("payment.succeeded", "--channel", "email", "--to", "canary"), "not an e-mail address"),
        (("auth.otp", "--channel", "sms", "--to", "0151 1"), "must begin with +"),
    ],
)
async def test_mistakes_are_said_in_one_line(test_send: Any, arguments: tuple[str, ...], words: str) -> None:
    result = await test_send(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "canary" not in result.output


async def test_what_the_provider_says_is_told(test_send: Any, sandbox_url: str) -> None:
    to = f"{unique('jane')}@example.org"
    async with httpx.AsyncClient(base_url=sandbox_url) as client:
        answer = await client.put(f"/api/faults/smtp/{to}", json={"error": {"status": 450}, "rate": 1.0})
        assert answer.status_code < 300, answer.text
    result = await test_send("payment.succeeded", "--channel", "email", "--to", to)
    assert result.exit_code == 1
    assert "smtp did not accept it" in result.stderr
