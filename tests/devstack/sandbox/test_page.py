import re

import pytest

from devstack.sandbox.inbox import Accepted
from devstack.sandbox.mailbox import read_mail
from devstack.sandbox.server import Sandbox

MAIL = (
    b"From: Acme <hello@acme.example>\r\nTo: ana@example.org\r\nSubject: <script>alert(1)</script>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p class="x">Hello "Ana"</p><script>alert(2)</script>\r\n'
)


def _entry(**changes: object) -> Accepted:
    given = {"provider": "fcm", "channel": "push", "to": "device-1", "key": "key-1", "size": 10}
    content = {"title": "Payment received", "body": "€49.90", "link": "javascript:alert(1)", "data": {"a": "b"}}
    return Accepted(**{**given, "parse": lambda: content, **changes})


def _fill(sandbox: Sandbox) -> None:
    sandbox.inbox.add(_entry())
    text = {"body": "Code 481 https://acme.example/x", "segments": 2, "encoding": "UCS-2"}
    sandbox.inbox.add(_entry(provider="twilio", channel="sms", to="+491511", key="key-2", parse=lambda: text))
    template = {"template": "order_shipped", "language": "en_US", "parameters": ["Ana", "DHL"]}
    sandbox.inbox.add(_entry(provider="meta", channel="whatsapp", to="+491511", key="key-3", parse=lambda: template))
    mail = {"provider": "smtp", "channel": "email", "to": "ana@example.org", "parse": lambda: read_mail(MAIL)}
    sandbox.inbox.add(_entry(**mail, key="key-4"))
    sandbox.inbox.add(_entry(**mail, key="key-4"))


async def test_the_page_shows_phones_and_mailboxes(sandbox: Sandbox, client) -> None:
    _fill(sandbox)
    html = (await client.get("/")).text
    assert re.findall(r'data-box="([^"]+)"', html) == ["Phone:+491511", "Device:device-1", "Mailbox:ana@example.org"]
    assert "Payment received" in html
    assert "2 segments, UCS-2" in html
    assert 'href="https://acme.example/x"' in html
    assert "order_shipped" in html
    assert "accepted \u00d72" in html
    assert "1 accepted more than once" in html


async def test_nothing_of_a_message_becomes_part_of_the_page(sandbox: Sandbox, client) -> None:
    _fill(sandbox)
    html = (await client.get("/")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html
    assert 'href="javascript:' not in html
    frame = re.search(r"<iframe[^>]*>", html)
    assert frame is not None
    assert 'sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"' in frame.group()  # no scripts
    assert "&lt;base target=&#34;_blank&#34;&gt;&lt;p class=&#34;x&#34;&gt;Hello &#34;Ana&#34;" in frame.group()


async def test_the_page_loads_nothing_from_elsewhere(client) -> None:
    answer = await client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', answer.text)
    assert loaded == ["/page/page.css", "/page/page.js"]
    for path, kind in (("/page/page.css", "text/css"), ("/page/page.js", "text/javascript")):
        found = await client.get(path)
        assert found.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert "http" not in found.text


async def test_switches_and_faults_are_on_the_page(client) -> None:
    await client.put("/api/providers/meta", json={"enabled": False})
    await client.put("/api/faults/smtp/eva@example.org", json={"fail_times": 2})
    html = (await client.get("/")).text
    assert len(re.findall(r'role="switch" aria-checked="true"', html)) == 5
    assert 'role="switch" aria-checked="false" data-provider="meta"' in html
    assert "eva@example.org" in html
    assert "{&#34;fail_times&#34;: 2}" in html


async def test_news_are_what_came_after_the_last_entry_seen(sandbox: Sandbox, client) -> None:
    sandbox.inbox.add(_entry())
    first = (await client.get("/page/news")).json()["items"]
    assert [item["box"] for item in first] == ["Device:device-1"]
    _fill(sandbox)
    news = (await client.get("/page/news", params={"after": first[-1]["id"]})).json()
    assert [item["kind"] for item in news["items"]] == ["phone", "phone", "phone", "mailbox", "mailbox"]
    assert [item["times"] for item in news["items"]] == [2, 1, 1, 2, 2]
    assert all(item["box_html"].strip().startswith("<article") for item in news["items"])
    assert 'role="switch"' in news["board"]
    assert "6</b> accepted" in news["totals"]


@pytest.mark.parametrize("after", ["gone", "0"])
async def test_a_page_whose_last_entry_is_gone_is_told_to_load_again(sandbox: Sandbox, client, after) -> None:
    _fill(sandbox)
    assert (await client.get("/page/news", params={"after": after})).json() == {"reload": True}
