"""Ways out of the process: SMTP and HTTP. The only module of reports that opens connections."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import httpx

from services.common.clock import Clock
from services.sla.reports.hook import body_of, headers_of
from services.sla.reports.mail import Parcel, message_of
from services.sla.reports.ports import Answer

TIMEOUT_S = 30.0
_TEXT = 300
_HTTP_AGAIN = frozenset({408, 425, 429})


class SmtpTls(StrEnum):
    """How mail is protected on its way to the server."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """Where mail goes out. The repr hides the password. ca_file: None means the system's authorities."""

    host: str
    port: int
    sender: str
    tls: SmtpTls = SmtpTls.STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class HookConfig:
    """Where a receiver listens. The repr hides what only it may know."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: bytes | None = field(default=None, repr=False)


class Way(Protocol):
    """One way to a recipient."""

    async def send(self, parcel: Parcel, to: str) -> Answer:
        """Hand it over; never raises for what the other side does."""
        ...


class Mailer:
    """E-mail over SMTP, in a thread. config None: no server is configured."""

    def __init__(self, config: SmtpConfig | None) -> None:
        self._config = config

    async def send(self, parcel: Parcel, to: str) -> Answer:
        """See `Way.send`. Codes of 500 and above are final, as RFC 5321 says."""
        if self._config is None:
            return Answer(0, accepted=False, text="no SMTP server is configured: THREENINES_SMTP_HOST")
        return await asyncio.to_thread(self._send, self._config, parcel, to)

    def _send(self, config: SmtpConfig, parcel: Parcel, to: str) -> Answer:
        message = message_of(parcel, sender=config.sender, to=to)
        try:
            with _connection(config) as connection:
                connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as err:
            code, text = next(iter(err.recipients.values()))
            return _refused(code, text)
        except smtplib.SMTPResponseException as err:
            return _refused(err.smtp_code, err.smtp_error)
        except (OSError, smtplib.SMTPException) as err:
            return Answer(0, accepted=False, text=f"{type(err).__name__}: {err}"[:_TEXT])
        return Answer(250, accepted=True)


class Hooks:
    """Webhooks over HTTP. find: the receiver of a tenant by name; None when there is no such."""

    def __init__(self, find: Callable[[str, str], HookConfig | None], clock: Clock) -> None:
        self._find = find
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    async def send(self, parcel: Parcel, to: str) -> Answer:
        """See `Way.send`. The answer's body is nobody's business and is not read."""
        found = self._find(parcel.record.tenant, to)
        if found is None:
            return Answer(0, accepted=False, text=f"there is no receiver {to}")
        body = await asyncio.to_thread(body_of, parcel)
        own = headers_of(parcel.key, body, secret=found.secret, now_s=self._clock.now_ns() // 1_000_000_000)
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client.stream(
                    "POST", found.url, content=body, headers={**found.headers, **own}
                ) as answer,
            ):
                accepted = 200 <= answer.status_code < 300
                after = answer.headers.get("retry-after")
                return Answer(answer.status_code, accepted=accepted, retry_after=after)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as err:
            return Answer(0, accepted=False, text=f"{type(err).__name__}: {err}"[:_TEXT])

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def final(answer: Answer, *, mail: bool) -> bool:
    """Whether another attempt cannot change the answer."""
    if mail:
        return answer.code >= 500
    return 300 <= answer.code < 500 and answer.code not in _HTTP_AGAIN


def _connection(config: SmtpConfig) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=config.ca_file)
    if config.tls is SmtpTls.TLS:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            config.host, config.port, timeout=TIMEOUT_S, context=context
        )
    else:
        connection = smtplib.SMTP(config.host, config.port, timeout=TIMEOUT_S)
    try:
        if config.tls is SmtpTls.STARTTLS:
            connection.starttls(context=context)
        if config.user:
            connection.login(config.user, config.password)
    except BaseException:
        connection.close()
        raise
    return connection


def _refused(code: int, text: bytes | str) -> Answer:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Answer(code, accepted=False, text=said[:_TEXT])
