"""What `email` hands to a real SMTP server, and what it makes of the server's answers."""

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from aiosmtplib import SMTPConnectError, SMTPException

from support.contexts import make_context
from taskflow_core.settings import Settings
from taskflow_worker.handlers.email import email as send_email
from taskflow_worker.outcome import Fail, InvalidPayload

ANN = {"to": "ann@example.org", "subject": "Hello", "text": "Hi Ann"}


class Postbox:
    """Keeps what arrives; `answers` says how an address, or "DATA", is answered otherwise than with 250."""

    def __init__(self) -> None:
        self.port = 0
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.envelopes.append(envelope)
        return "250 Message accepted"

    def only_message(self) -> EmailMessage:
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    postbox = Postbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(postbox, hostname="localhost", loop=loop), host="127.0.0.1", port=0
    )
    postbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield postbox


async def send(postbox: Postbox, payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "smtp_port": postbox.port,
        "email_from": "TaskFlow <taskflow@example.org>",
        **changes,
    }
    context, _ = make_context(task_id="t1", settings=Settings(**settings))
    return await send_email(context, payload)


async def test_a_message_arrives_as_the_payload_says(postbox):
    result = await send(
        postbox,
        {
            "to": ["Ännchen <ann@example.org>", "bob@example.org"],
            "cc": "carl@example.org",
            "bcc": ["dora@example.org", "ann@example.org"],
            "reply_to": "help@example.org",
            "from": "Shop <shop@example.org>",
            "subject": "Grüße",
            "text": "Hallo Zoë\n.\nEnde",
            "html": "<p>Hallo Zoë</p>",
            "headers": {"X-Order": "7", "List-Unsubscribe": "<https://example.org/leave>"},
        },
    )
    recipients = ["ann@example.org", "bob@example.org", "carl@example.org", "dora@example.org"]
    assert result == {"message_id": "<t1@example.org>", "accepted": recipients, "refused": {}}
    assert postbox.envelopes[0].mail_from == "shop@example.org"
    assert postbox.envelopes[0].rcpt_tos == recipients
    message = postbox.only_message()
    assert message["Message-ID"] == "<t1@example.org>"
    assert message["From"] == "Shop <shop@example.org>"
    assert message["To"] == "Ännchen <ann@example.org>, bob@example.org"
    assert message["Cc"] == "carl@example.org"
    assert message["Bcc"] is None
    assert message["Reply-To"] == "help@example.org"
    assert message["Subject"] == "Grüße"
    assert message["X-Order"] == "7"
    assert message["List-Unsubscribe"] == "<https://example.org/leave>"
    text, html = message.iter_parts()
    assert text.get_content().splitlines() == ["Hallo Zoë", ".", "Ende"]
    assert html.get_content().strip() == "<p>Hallo Zoë</p>"


async def test_the_sender_is_that_of_the_settings_unless_the_payload_says(postbox):
    await send(postbox, ANN)
    assert postbox.envelopes[0].mail_from == "taskflow@example.org"
    assert postbox.only_message()["From"] == "TaskFlow <taskflow@example.org>"


async def test_html_alone_is_a_message(postbox):
    await send(postbox, {"to": "ann@example.org", "subject": "Hello", "html": "<p>Hi</p>"})
    assert postbox.only_message().get_content_type() == "text/html"


async def test_a_second_attempt_sends_the_same_message_id(postbox):
    first, second = await send(postbox, ANN), await send(postbox, ANN)
    assert first["message_id"] == second["message_id"]


async def test_a_recipient_that_is_refused_does_not_stop_the_others(postbox):
    postbox.answers = {"bob@example.org": "550 No such user"}
    result = await send(postbox, ANN | {"to": ["ann@example.org", "bob@example.org"]})
    assert result["accepted"] == ["ann@example.org"]
    assert result["refused"] == {"bob@example.org": "550 No such user"}


async def test_a_message_that_no_recipient_may_have_is_final(postbox):
    postbox.answers = {"ann@example.org": "550 No such user"}
    with pytest.raises(Fail, match=r"refused every recipient: ann@example\.org: 550 No such user"):
        await send(postbox, ANN)


async def test_recipients_that_are_put_off_are_retried(postbox):
    postbox.answers = {"ann@example.org": "450 Try later", "bob@example.org": "550 No such user"}
    with pytest.raises(SMTPException, match="450 Try later"):
        await send(postbox, ANN | {"to": ["ann@example.org", "bob@example.org"]})


async def test_a_message_refused_for_good_is_final(postbox):
    postbox.answers = {"DATA": "554 Looks like spam"}
    with pytest.raises(Fail, match="554 Looks like spam"):
        await send(postbox, ANN)


async def test_a_message_put_off_is_retried(postbox):
    postbox.answers = {"DATA": "451 Disk full"}
    with pytest.raises(SMTPException) as caught:
        await send(postbox, ANN)
    assert "Disk full" in str(caught.value)


async def test_a_server_that_is_away_is_retried(postbox):
    with socket.socket() as bound_but_deaf:
        bound_but_deaf.bind(("127.0.0.1", 0))
        with pytest.raises(SMTPConnectError):
            await send(postbox, ANN, smtp_port=bound_but_deaf.getsockname()[1])


async def test_a_server_without_the_wanted_tls_is_not_used(postbox):
    with pytest.raises((SMTPException, Fail), match=r"(?i)starttls"):
        await send(postbox, ANN, smtp_start_tls=True)
    assert postbox.envelopes == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"to": []}, "to: must have at least 1 items"),
        ({"to": "ann"}, "to.0: 'ann' is not an email address"),
        ({"to": "ann@example.org, bob@example.org"}, "to.0: 'ann@example.org, bob@example.org' is not an"),
        ({"to": "<ann@example.org> SIZE=1"}, "to.0: '<ann@example.org> SIZE=1' is not an email address"),
        ({"cc": ["ann@example.org\r\nBcc: eve@example.org"]}, "cc.0: must be one line"),
        ({"to": "=?utf-8?q?a=0d=0aBcc:_eve@x.org?= <a@b.org>"}, "to.0: must be one line"),
        ({"from": "Ann\n<ann@example.org>"}, "from: must be one line"),
        ({"subject": "Hello\r\nBcc: eve@example.org"}, "subject: must be one line"),
        ({"subject": "=?utf-8?q?a=0d=0aBcc:_eve@example.org?="}, "subject: must be one line"),
        ({"headers": {"X-A": "=?utf-8?q?a=0d=0aBcc:_eve@example.org?="}}, "headers.X-A: must be one line"),
        ({"headers": {"X-A\r\nBcc": "eve@example.org"}}, "headers: 'X-A\\r\\nBcc' cannot be set"),
        ({"headers": {"Bcc": "eve@example.org"}}, "headers: 'Bcc' cannot be set"),
        ({"headers": {"Content-Type": "text/html"}}, "headers: 'Content-Type' cannot be set"),
        ({"text": None}, "payload: text, html or both are required"),
        (
            {"to": [f"a{number}@example.org" for number in range(101)]},
            "payload: to, cc and bcc must have at most 100 addresses together",
        ),
        ({"attachments": []}, "attachments: is not a field of this payload"),
    ],
)
async def test_a_wrong_payload_is_refused_with_the_field(postbox, change, message):
    with pytest.raises(InvalidPayload) as caught:
        await send(postbox, ANN | change)
    assert str(caught.value).startswith(message)
    assert postbox.envelopes == []
