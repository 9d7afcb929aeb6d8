"""Connections that are kept, die and come back; what the server says that it can take."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from notifications.providers.base import (
    EmailContent,
    ErrorScope,
    PermanentDeliveryError,
    TransientDeliveryError,
    UnknownOutcome,
)
from notifications.providers.email import smtp_pool
from notifications.providers.email.smtp import SmtpProvider
from notifications.settings import SettingsError, SmtpSettings
from tests.contracts.support.accounts import smtp_settings
from tests.contracts.support.smtp_server import Fault
from tests.contracts.support.vendors import outgoing, running


@pytest.fixture(params=["smtp", "smtp-pipelining"])
def smtp(request):
    return request.param


async def test_one_connection_serves_many_messages_one_after_another(smtp, send):
    async with running(smtp) as bench:
        for _ in range(10):
            await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 1
        assert len(bench.server.accepted) == 10


async def test_no_more_connections_are_opened_than_allowed(smtp, send):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, max_connections=3))
        await asyncio.gather(*(send(provider, outgoing(bench, origin_id=uuid4())) for _ in range(30)))
        assert bench.server.most_open == 3
        assert len(bench.server.accepted) == 30
        await provider.close()


async def test_waiting_for_a_connection_ends_at_the_deadline(smtp, send, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, max_connections=1))
        bench.play({"MAIL": [Fault.HANG]})
        held = asyncio.create_task(failure(provider, outgoing(bench), seconds=1.0))
        await asyncio.sleep(0)
        error = await failure(provider, outgoing(bench), seconds=0.2)
        assert isinstance(error, TransientDeliveryError)
        assert isinstance(await held, TransientDeliveryError)
        await send(provider, outgoing(bench))
        await provider.close()


async def test_a_connection_is_left_after_its_share_of_messages(smtp, send):
    async with running(smtp) as bench:
        for _ in range(smtp_pool.MAX_MESSAGES + 1):
            await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 2
        assert "QUIT" in bench.server.commands


async def test_an_idle_connection_is_not_trusted_for_long(smtp, send):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port), idle_seconds=0.05)
        await send(provider, outgoing(bench))
        async with asyncio.timeout(5):
            while bench.server.open_connections:
                await asyncio.sleep(0.01)
        assert bench.server.commands[-1] == "QUIT"
        await send(provider, outgoing(bench))
        assert bench.server.connections == 2
        await provider.close()


@pytest.mark.parametrize("death", [b"421 4.4.2 idle too long", Fault.RESET, Fault.CLOSE], ids=str)
async def test_a_kept_connection_that_died_is_replaced_within_the_same_send(smtp, death, send):
    async with running(smtp) as bench:
        await send(bench.provider, outgoing(bench))
        bench.play({"MAIL": [death]})
        await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 2
        assert len(bench.server.accepted) == 2


async def test_a_new_connection_that_dies_is_not_tried_again(smtp, failure):
    async with running(smtp) as bench:
        bench.play({"MAIL": [Fault.RESET]})
        error = await failure(bench.provider, outgoing(bench))
        assert isinstance(error, TransientDeliveryError)
        assert bench.server.connections == 1


@pytest.mark.parametrize("key", ["RCPT", "DATA"])
async def test_a_loss_before_the_text_is_no_acceptance(smtp, key, failure):
    async with running(smtp) as bench:
        bench.play({key: [Fault.RESET]})
        assert isinstance(await failure(bench.provider, outgoing(bench)), TransientDeliveryError)
        assert bench.server.accepted == []


async def test_a_refused_envelope_is_reset_before_the_next_and_the_connection_stays(smtp, failure, send):
    async with running(smtp) as bench:
        bench.play({"RCPT": [b"550 5.1.1 no"]})
        await failure(bench.provider, outgoing(bench))
        await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 1
        verbs = [command.partition(" ")[0] for command in bench.server.commands]
        with_it = ["DATA"] if smtp == "smtp-pipelining" else []
        assert verbs == ["EHLO", "MAIL", "RCPT", *with_it, "RSET", "MAIL", "RCPT", "DATA"]


async def test_a_server_that_waits_for_a_text_without_a_recipient_is_left(failure, send):
    async with running("smtp-pipelining") as bench:
        bench.play({"RCPT": [b"550 5.1.1 no"], "DATA": [b"354 go on"]})
        error = await failure(bench.provider, outgoing(bench))
        assert error.code == "smtp_550_5.1.1"
        await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 2
        assert len(bench.server.accepted) == 1


@pytest.mark.parametrize("after", [Fault.CLOSE, Fault.RESET, Fault.GARBAGE, Fault.HANG], ids=str)
async def test_a_refusal_stays_one_whatever_comes_after_it(after, failure, send):
    async with running("smtp-pipelining") as bench:
        bench.play({"RCPT": [b"550 5.1.1 no"], "DATA": [after]})
        assert (await failure(bench.provider, outgoing(bench))).code == "smtp_550_5.1.1"
        await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 2


async def test_every_command_waits_for_its_answer_unless_the_server_takes_them_at_once(failure):
    async with running("smtp") as bench:
        bench.play({"MAIL": [b"451 4.3.0 later"]})
        await failure(bench.provider, outgoing(bench))
        assert [command.partition(" ")[0] for command in bench.server.commands] == ["EHLO", "MAIL"]
    async with running("smtp-pipelining") as bench:
        bench.play({"MAIL": [Fault.HANG]})
        await failure(bench.provider, outgoing(bench), seconds=0.3)
        assert bench.server.accepted == []


async def test_lines_that_begin_with_a_dot_arrive_as_written(smtp, send):
    text = ".\n..\n.hidden\nend"
    async with running(smtp) as bench:
        await send(bench.provider, outgoing(bench, content=EmailContent("s", None, text)))
        body = bench.server.accepted[0].data.partition(b"\r\n\r\n")[2].decode()
    assert body.replace("=2E", ".").splitlines() == text.splitlines()


async def test_the_envelope_has_the_bare_addresses(smtp, send):
    async with running(smtp) as bench:
        await send(bench.provider, outgoing(bench, content=EmailContent("s", None, "t", "Shop <shop@läden.example>")))
        (mail,) = bench.server.accepted
    assert (mail.sender, mail.recipient) == ("shop@xn--lden-loa.example", bench.address)


async def test_smtputf8_is_asked_for_only_where_the_address_needs_it(smtp, send):
    async with running(smtp) as bench:
        await send(bench.provider, outgoing(bench, address="jürgen@example.org"))
        await send(bench.provider, outgoing(bench, address="ana@münchen.example"))
        first, second = (command for command in bench.server.commands if command.startswith("MAIL"))
    assert "SMTPUTF8" in first
    assert "SMTPUTF8" not in second


async def test_without_smtputf8_such_an_address_cannot_be_reached(smtp, failure, send):
    async with running(smtp) as bench:
        bench.server.extensions = ()
        error = await failure(bench.provider, outgoing(bench, address="jürgen@example.org"))
        assert (error.code, error.scope, error.disable_address) == ("smtp_no_smtputf8", ErrorScope.RECIPIENT, False)
        await send(bench.provider, outgoing(bench))
        assert bench.server.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(b"535 5.7.8 wrong", PermanentDeliveryError), (b"454 4.7.0 later", TransientDeliveryError)],
    ids=["wrong", "later"],
)
async def test_refused_credentials_are_a_matter_of_configuration(smtp, answer, kind, failure):
    async with running(smtp) as bench:
        bench.server.extensions = ("AUTH PLAIN",)
        settings = smtp_settings(bench.server.port, username="u", password=SecretStr("auth-canary"))
        bench.play({"AUTH": [answer]})
        provider = SmtpProvider(settings)
        error = await failure(provider, outgoing(bench))
        await provider.close()
    assert isinstance(error, kind)
    assert getattr(error, "scope", ErrorScope.CONFIG) is ErrorScope.CONFIG
    assert "auth-canary" not in repr(error)


@pytest.mark.parametrize("changes", [{"tls": "starttls"}, {"username": "u", "password": SecretStr("p")}], ids=str)
async def test_a_server_without_starttls_or_auth_is_a_matter_of_configuration(smtp, changes, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, **changes))
        error = await failure(provider, outgoing(bench))
        await provider.close()
    assert (error.code, error.scope) == ("smtp_unsupported", ErrorScope.CONFIG)


async def test_a_failed_tls_handshake_is_transient(smtp, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, tls="implicit"))
        error = await failure(provider, outgoing(bench))
        await provider.close()
    assert isinstance(error, TransientDeliveryError)
    assert error.code == "smtp_tls"


async def test_an_unknown_host_is_transient(smtp, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(
            SmtpSettings(host="no-such-host.invalid", port=25, tls="none", from_address="a@b.example")
        )
        error = await failure(provider, outgoing(bench))
    assert isinstance(error, TransientDeliveryError)
    assert error.code == "smtp_dns"


async def test_an_answer_that_is_no_refusal_leaves_the_outcome_open(smtp, failure):
    async with running(smtp) as bench:
        bench.play({"END": [b"354 what?"]})
        assert isinstance(await failure(bench.provider, outgoing(bench)), UnknownOutcome)


async def test_its_own_time_limit_holds_below_the_deadline(smtp, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, timeout_seconds=0.2))
        bench.play({"END": [Fault.HANG]})
        async with asyncio.timeout(3):
            assert isinstance(await failure(provider, outgoing(bench), seconds=60), UnknownOutcome)
        await provider.close()


@pytest.mark.parametrize("first", [0.3, 60.0])
async def test_each_mail_of_a_connection_has_a_time_limit_of_its_own(smtp, first, send, failure):
    async with running(smtp) as bench:
        provider = SmtpProvider(smtp_settings(bench.server.port, timeout_seconds=60))
        await send(provider, outgoing(bench), seconds=first)
        bench.play({"END": [Fault.HANG]})
        begun = time.monotonic()
        error = await failure(provider, outgoing(bench), seconds=0.6)
        assert (type(error), error.code) == (UnknownOutcome, "smtp_timeout")
        assert time.monotonic() - begun >= 0.55
        assert bench.server.connections == 1
        await provider.close()


@pytest.mark.parametrize(
    ("changes", "variable"), [({"from_address": "nobody"}, "FROM_ADDRESS"), ({"reply_to": "a b"}, "REPLY_TO")]
)
def test_an_unusable_sender_is_named(changes, variable):
    with pytest.raises(SettingsError, match=f"TIDINGS_SMTP__{variable}"):
        SmtpProvider(smtp_settings(25, **changes))


async def test_a_full_mailbox_is_tried_again_later(smtp, failure):
    async with running(smtp) as bench:
        bench.play({"RCPT": [b"452 4.2.2 full"]})
        error = await failure(bench.provider, outgoing(bench))
    assert error.retry_after == timedelta(minutes=10)
