"""Real receivers on loopback: a mail server and a webhook that refuse as often as a test says."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """What came in. refusals: answers to MAIL FROM, used up one by one; lost: answers to whole messages that
    were taken, after which the connection ends without a word."""

    port: int = 0
    refusals: list[str] = field(default_factory=list)
    lost: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session of RFC 5321, without extensions."""
        writer.write(b"220 mail.test\r\n")
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                verb = line.split(b":")[0].strip().upper()
                if verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                if verb == b"MAIL FROM" and self.refusals:
                    writer.write(self.refusals.pop(0).encode() + b"\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    message = message_from_bytes(
                        data[:-5].replace(b"\r\n..", b"\r\n."), policy=policy.default
                    )
                    assert isinstance(message, EmailMessage)
                    self.messages.append(message)
                    if self.lost:
                        self.lost -= 1
                        break
                    writer.write(b"250 taken\r\n")
                else:
                    if verb == b"RCPT TO":
                        self.recipients.append(line.decode().split("<")[1].split(">")[0])
                    writer.write(b"250 fine\r\n")
        writer.close()


@dataclass
class Hook:
    """Requests that came in. answers: (status, further headers), used up one by one; then 204."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of HTTP/1.1."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status, more = self.answers.pop(0) if self.answers else (204, {})
        lines = [f"HTTP/1.1 {status} x", "connection: close", "content-length: 0"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        writer.close()


@asynccontextmanager
async def listening(receiver: MailServer | Hook) -> AsyncIterator[None]:
    """On a free port of loopback while the block runs."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, limit=64 << 20)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


def decoded(text: str) -> bytes:
    """Base64."""
    return base64.b64decode(text, validate=True)
