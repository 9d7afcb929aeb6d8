import asyncio
import json
import signal
import sys

import httpx
import pytest


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "devstack.sandbox", *arguments)
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def test_the_process_says_where_it_listens_and_ends_on_sigterm() -> None:
    process = await _start("--http-port", "0", "--smtp-port", "0")
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    async with httpx.AsyncClient(base_url=ready["http"], trust_env=False) as client:
        assert (await client.get("/api/health")).json() == {"status": "ok"}
    reader, writer = await asyncio.open_connection("127.0.0.1", ready["smtp_port"])
    assert (await reader.readline()).startswith(b"220 ")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    writer.close()


async def test_a_reset_is_a_real_one_on_the_loop_of_the_process() -> None:
    process = await _start("--http-port", "0", "--smtp-port", "0")
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    async with httpx.AsyncClient(base_url=ready["http"], trust_env=False) as client:
        (await client.put("/api/faults/smtp", json={"reset": "before"})).raise_for_status()
    reader, writer = await asyncio.open_connection("127.0.0.1", ready["smtp_port"])
    writer.write(b"EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<ana@example.org>\r\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 30)
    writer.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_taken_port_is_one_line_that_says_what_to_do() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await _start("--http-port", str(port), "--smtp-port", "0")
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    server.close()
    assert process.returncode == 1
    assert errors.decode().startswith("sandbox: ")
    assert "give another port" in errors.decode()
    assert errors.count(b"\n") == 1


async def test_fcm_credentials_outlive_a_restart_when_a_file_keeps_them(tmp_path) -> None:
    keys = []
    for _ in range(2):
        process = await _start("--http-port", "0", "--smtp-port", "0", "--service-account", str(tmp_path / "fcm.json"))
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        async with httpx.AsyncClient(base_url=ready["http"], trust_env=False) as client:
            account = (await client.get("/fcm/service-account.json")).json()
        assert account["token_uri"] == f"{ready['http']}/fcm/token"
        keys.append(account["private_key"])
        process.kill()
        await process.wait()
    assert keys[0] == keys[1]
    assert (tmp_path / "fcm.json").stat().st_mode & 0o077 == 0
