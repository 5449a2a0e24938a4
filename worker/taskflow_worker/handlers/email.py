"""`email`: sends a message through the SMTP server of the settings (TASKFLOW_SMTP_*).

What the server refuses for good (5xx) is final; what it defers (4xx) or a server that is away is retried.
"""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any

import aiosmtplib
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from taskflow_core.settings import Settings
from taskflow_worker.context import TaskContext
from taskflow_worker.outcome import Fail
from taskflow_worker.payloads import parse_payload
from taskflow_worker.registry import register_task_handler

MAX_RECIPIENTS = 100
# The port on which a connection starts with TLS.
SMTPS = 465
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Local parts that need no quotes, and names of hosts.
USER = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
DOMAIN = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
MAILBOX = re.compile(
    rf"(?P<user>{USER})@(?P<domain>{DOMAIN})"
    rf"|(?P<name>[^<>\"\\]*|\"[^<>\"\\]*\")<(?P<named_user>{USER})@(?P<named_domain>{DOMAIN})>",
    re.ASCII,
)
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
# What may be set besides X-...: nothing that says who sent the message, to whom, or what its parts are.
ALLOWED_HEADERS = frozenset(
    {
        "auto-submitted",
        "feedback-id",
        "importance",
        "in-reply-to",
        "keywords",
        "list-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "precedence",
        "priority",
        "references",
    }
)


def _one_line(value: str) -> str:
    # Also as mail programs read it, and `email` writes it: "=?utf-8?q?=0d=0aBcc:?=" hides the start of a header.
    if CONTROL.search(value) or CONTROL.search(SMTP.header_factory("Subject", value)):
        raise ValueError("must be one line without control characters")
    return value


def _is_mailbox(value: str) -> str:
    _mailbox(_one_line(value))
    return value


def _mailbox(value: str) -> Address:
    """Reads `ann@example.org` or `Ann <ann@example.org>`. Raises ValueError for anything else."""
    # Not left to `email`, whose parser lets much through, and breaks on some of it.
    match = MAILBOX.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not an email address")
    name = (match["name"] or "").strip().strip('"')
    return Address(name, match["user"] or match["named_user"], match["domain"] or match["named_domain"])


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Line = Annotated[str, Field(max_length=998), AfterValidator(_one_line)]
Mailbox = Annotated[str, Field(max_length=320), AfterValidator(_is_mailbox)]
Mailboxes = Annotated[list[Mailbox], BeforeValidator(_list)]


class Email(BaseModel):
    """The payload. Addresses are `ann@example.org` or `Ann <ann@example.org>`; one, or a list where many make sense."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    to: Annotated[Mailboxes, Field(min_length=1)]
    subject: Line
    text: str | None = None
    html: str | None = None
    cc: Mailboxes = Field(default_factory=list)
    bcc: Mailboxes = Field(default_factory=list)
    reply_to: Mailboxes = Field(default_factory=list)
    # Default: the setting `email_from`.
    from_: Mailbox | None = Field(default=None, alias="from")
    headers: dict[str, Line] = Field(default_factory=dict, max_length=20)

    @field_validator("headers")
    @classmethod
    def _are_allowed(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            allowed = name.lower() in ALLOWED_HEADERS or name.lower().startswith("x-")
            if not (allowed and HEADER_NAME.fullmatch(name)):
                raise ValueError(
                    f"{name!r} cannot be set; X-... and {', '.join(sorted(ALLOWED_HEADERS))} can"
                )
        return headers

    @model_validator(mode="after")
    def _is_whole(self) -> "Email":
        if self.text is None and self.html is None:
            raise ValueError("text, html or both are required")
        if len(self.recipients) > MAX_RECIPIENTS:
            raise ValueError(f"to, cc and bcc must have at most {MAX_RECIPIENTS} addresses together")
        return self

    @property
    def recipients(self) -> list[str]:
        """All bare addresses, each once."""
        return list(dict.fromkeys(_mailbox(one).addr_spec for one in [*self.to, *self.cc, *self.bcc]))


@register_task_handler
async def email(context: TaskContext, payload: Any) -> dict[str, Any]:
    """Send an email and return `{message_id, accepted, refused}`.

    `refused` has what the server said about each recipient it refused, while it took the message for the others.
    Every attempt of a task sends the same Message-ID, by which mailboxes know a message that came twice.
    """
    wanted = parse_payload(Email, payload)
    settings = context.settings
    sender = _mailbox(wanted.from_ or settings.email_from)
    message = _message(wanted, sender, context.task_id)
    try:
        refused = await _send(message, sender.addr_spec, wanted.recipients, settings)
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _all_refused(error) from error
    except aiosmtplib.SMTPResponseException as error:
        if error.code < 500:
            raise
        raise Fail(f"the SMTP server refused the message: {error.code} {error.message}") from error
    except aiosmtplib.SMTPNotSupported as error:
        raise Fail(f"the SMTP server cannot send the message: {error}") from error
    return {
        "message_id": message["Message-ID"],
        "accepted": [address for address in wanted.recipients if address not in refused],
        "refused": {address: f"{code} {text}" for address, (code, text) in refused.items()},
    }


def _message(wanted: Email, sender: Address, task_id: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = f"<{task_id}@{sender.domain}>"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["From"] = sender
    for name, mailboxes in (("To", wanted.to), ("Cc", wanted.cc), ("Reply-To", wanted.reply_to)):
        if mailboxes:
            message[name] = [_mailbox(mailbox) for mailbox in mailboxes]
    message["Subject"] = wanted.subject
    for name, value in wanted.headers.items():
        message[name] = value
    if wanted.text is not None:
        message.set_content(wanted.text)
    if wanted.html is not None and wanted.text is not None:
        message.add_alternative(wanted.html, subtype="html")
    elif wanted.html is not None:
        message.set_content(wanted.html, subtype="html")
    return message


async def _send(
    message: EmailMessage, sender: str, recipients: list[str], settings: Settings
) -> dict[str, Any]:
    """Send to these recipients, whatever the headers say; the answers of the server for those it refused."""
    refused, _ = await aiosmtplib.send(
        message,
        sender=sender,
        recipients=recipients,
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username or None,
        password=settings.smtp_password or None,
        use_tls=settings.smtp_port == SMTPS,
        start_tls=False if settings.smtp_port == SMTPS else settings.smtp_start_tls,
    )
    return dict(refused)


def _all_refused(error: aiosmtplib.SMTPRecipientsRefused) -> Exception:
    answers = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
    message = f"the SMTP server refused every recipient: {answers}"
    is_final = all(one.code >= 500 for one in error.recipients)
    return Fail(message) if is_final else aiosmtplib.SMTPException(message)
