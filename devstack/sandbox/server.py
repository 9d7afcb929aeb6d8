"""All of the sandbox in one process: the vendors, the control API and the page on one HTTP port, SMTP on another."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from aiohttp import web

from devstack.sandbox.control import Control
from devstack.sandbox.faults import FaultBoard
from devstack.sandbox.fcm import Fcm
from devstack.sandbox.gate import Gate
from devstack.sandbox.google_oauth import TOKEN_PATH, ServiceAccount, TokenEndpoint
from devstack.sandbox.inbox import Inbox
from devstack.sandbox.meta import VERSION, Meta, MetaPhoneNumber
from devstack.sandbox.page import Page
from devstack.sandbox.profiles import Profiles
from devstack.sandbox.receipts import ReceiptSender
from devstack.sandbox.replies import Replies
from devstack.sandbox.sendgrid import SendGrid, SendGridScopes
from devstack.sandbox.smtp import SmtpServer
from devstack.sandbox.twilio import Twilio, TwilioAccount
from notifications.sandbox_signing import SandboxSigning

_MAX_REQUEST_BYTES = 32 * 2**20  # beyond the 30 MB of SendGrid, which says itself what is too large


@dataclass(kw_only=True)
class SandboxOptions:
    """A port of 0 picks a free one. `service_account` is a file that keeps FCM's credentials over restarts.

    `webhooks` is where receipts go (`/twilio` and so on below it). Who is to believe them needs the same `secret`.
    """

    host: str = "127.0.0.1"
    http_port: int = 8025
    smtp_port: int = 1025
    service_account: Path | None = None
    seed: int | None = None
    inbox_size: int = 10_000
    webhooks: str | None = None
    secret: str = field(default_factory=token_urlsafe)


@dataclass
class Sandbox:
    options: SandboxOptions
    board: FaultBoard = field(init=False)
    inbox: Inbox = field(init=False)
    http_port: int = field(init=False, default=0)
    smtp_port: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.board = FaultBoard(seed=self.options.seed)
        self.inbox = Inbox(max_entries=self.options.inbox_size)
        self._account = ServiceAccount(self.options.service_account)
        self._closing = asyncio.Event()
        self._smtp = SmtpServer(self.inbox, self.board)
        self._runner: web.AppRunner | None = None

    @property
    def http_url(self) -> str:
        return f"http://{self.options.host}:{self.http_port}"

    def addresses(self) -> dict[str, Any]:
        """What the ready line says."""
        return {
            "ready": True,
            "http": self.http_url,
            "smtp": f"{self.options.host}:{self.smtp_port}",
            "http_port": self.http_port,
            "smtp_port": self.smtp_port,
        }

    async def start(self) -> None:
        """Listen on both ports.

        Raises:
            OSError: a port is taken.

        """
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.http_port, backlog=1024)
        await site.start()
        self.http_port = self._runner.addresses[0][1]
        self.smtp_port = await self._smtp.start(self.options.host, self.options.smtp_port)

    async def stop(self) -> None:
        self._closing.set()
        await self._smtp.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        gate = Gate(self.board, self._closing)
        app.router.add_post(TOKEN_PATH, gate.guard(TokenEndpoint(self._account)))
        app.router.add_get("/fcm/service-account.json", self._service_account)
        app.router.add_post("/fcm/v1/projects/{project}/messages:send", gate.guard(Fcm(self.inbox, self._account)))
        signing = SandboxSigning(self.options.secret)
        receipts = ReceiptSender(signing, self.options.webhooks)
        receipts.add_routes(app)
        sendgrid = SendGrid(self.inbox, receipts)
        app.router.add_post("/sendgrid/v3/mail/send", gate.guard(sendgrid))
        app.router.add_get("/sendgrid/v3/scopes", gate.guard(SendGridScopes(sendgrid)))
        twilio = Twilio(self.inbox, receipts)
        Replies(twilio, receipts, signing, self.options.webhooks).add_routes(app)
        account = "/twilio/2010-04-01/Accounts/{sid}"
        app.router.add_post(f"{account}/Messages.json", gate.guard(twilio))
        app.router.add_get(f"{account}.json", gate.guard(TwilioAccount(twilio)))
        meta = Meta(self.inbox, receipts)
        app.router.add_post(f"/meta/{VERSION}/{{phone_number_id}}/messages", gate.guard(meta))
        app.router.add_get(f"/meta/{VERSION}/{{phone_number_id}}", gate.guard(MetaPhoneNumber(meta)))
        profiles = Profiles()
        app.router.add_get("/profiles/{id}", gate.guard(profiles))
        app.router.add_put("/profiles/{id}", profiles.put)
        app.router.add_delete("/profiles/{id}", profiles.delete)
        Control(self.inbox, self.board, self._closing).add_routes(app)
        Page(self.inbox, self.board).add_routes(app)
        return app

    async def _service_account(self, request: web.Request) -> web.Response:
        return web.json_response(self._account.document(f"{request.scheme}://{request.host}{TOKEN_PATH}"))
