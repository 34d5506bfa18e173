"""How mail is protected: the settings, and STARTTLS against a real server with a certificate of its own."""

import asyncio
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from services.common.settings import ConfigurationError, Environment
from services.sla.reports.canonical import canonical_json
from services.sla.reports.config import ReportsConfig
from services.sla.reports.ledger import ReportPeriod, ReportRecord, ReportState
from services.sla.reports.mail import Parcel
from services.sla.reports.send import Mailer, SmtpConfig, SmtpTls
from tests.unit.sla.reports.examples import END_MS, START_MS, flawless_month

MONTH = ReportPeriod("month", "2026-10", START_MS, END_MS)


def parcel() -> Parcel:
    record = ReportRecord("acme", "gold", MONTH, 1, ReportState.ISSUED, END_MS, END_MS)
    content = canonical_json(flawless_month())
    return Parcel(replace(record, content=content), "email:ops@acme.example", "key-1", ())


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", *kind, *names]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60)
    return cert, key


class SecureServer:
    """Takes mail only after STARTTLS."""

    def __init__(self, cert: Path, key: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(cert, key)
        self.taken: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure = False
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            verb = line.split(b":")[0].strip().upper()
            if verb.startswith(b"EHLO"):
                writer.write(b"250 mail.test\r\n" if secure else b"250-mail.test\r\n250 STARTTLS\r\n")
            elif verb == b"STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.drain()
                try:
                    await writer.start_tls(self.context)
                except (ssl.SSLError, ConnectionError):
                    break
                secure = True
            elif verb == b"MAIL FROM" and not secure:
                writer.write(b"530 must issue STARTTLS first\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                self.taken.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
        writer.close()


async def test_mail_goes_out_over_starttls_and_never_to_a_stranger(certificate: tuple[Path, Path]) -> None:
    secure = SecureServer(*certificate)
    server = await asyncio.start_server(secure.serve, "127.0.0.1", 0, limit=1 << 22)
    port = server.sockets[0].getsockname()[1]
    trusted = SmtpConfig("localhost", port, "sla@host.example", ca_file=certificate[0])
    try:
        assert (await Mailer(trusted).send(parcel(), "ops@acme.example")).accepted
        assert len(secure.taken) == 1
        stranger = await Mailer(replace(trusted, ca_file=None)).send(parcel(), "ops@acme.example")
        plain = await Mailer(replace(trusted, tls=SmtpTls.NONE)).send(parcel(), "ops@acme.example")
    finally:
        server.close()
        await server.wait_closed()
    assert not stranger.accepted
    assert stranger.code == 0
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.text
    assert (plain.accepted, plain.code) == (False, 530)
    assert len(secure.taken) == 1


def test_every_wrong_setting_of_mail_is_told_and_no_password_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ReportsConfig.of(
            Environment.PRODUCTION,
            {
                "THREENINES_SMTP_HOST": "mail.example",
                "THREENINES_SMTP_PORT": "0",
                "THREENINES_SMTP_TLS": "none",
                "THREENINES_SMTP_USER": "sla",
            },
        )
    assert {one.field.removeprefix("THREENINES_SMTP_") for one in caught.value.violations} == {
        "PORT",
        "TLS",
        "FROM",
        "PASSWORD_FILE",
    }
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    config = ReportsConfig.of(
        Environment.PRODUCTION,
        {
            "THREENINES_SMTP_HOST": "mail.example",
            "THREENINES_SMTP_FROM": "sla@host.example",
            "THREENINES_SMTP_USER": "sla",
            "THREENINES_SMTP_PASSWORD_FILE": str(secret),
        },
    )
    assert config.smtp is not None
    assert (config.smtp.tls, config.smtp.port, config.smtp.password) == (SmtpTls.STARTTLS, 587, "hunter2")
    assert "hunter2" not in repr(config)
    assert ReportsConfig.of(Environment.LAPTOP, {}).smtp is None
