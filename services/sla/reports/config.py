"""How reports leave: the mail server, and the secrets of receivers. All from the environment and files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.common.environment import EnvironmentReader, process_environment
from services.common.settings import Environment
from services.sla.reports.send import SmtpConfig, SmtpTls

_ADDRESS = r"[^@\s,;<>]+@[^@\s,;<>]+"


@dataclass(frozen=True, slots=True)
class ReportsConfig:
    """smtp None: no mail is sent. secrets: the environment, for what receivers name of it."""

    smtp: SmtpConfig | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, environment: Environment, environ: Mapping[str, str] | None = None) -> "ReportsConfig":
        """Raises ConfigurationError that names every bad variable."""
        found = process_environment() if environ is None else environ
        reader = EnvironmentReader(found)
        smtp = _smtp(reader, environment)
        reader.finish()
        return cls(smtp, found)


def _smtp(reader: EnvironmentReader, environment: Environment) -> SmtpConfig | None:
    host = reader.text("THREENINES_SMTP_HOST", pattern=r"[A-Za-z0-9.:-]{1,253}")
    port = reader.integer("THREENINES_SMTP_PORT", 587, low=1, high=65_535)
    tls = reader.choice("THREENINES_SMTP_TLS", SmtpTls.STARTTLS)
    sender = reader.text("THREENINES_SMTP_FROM", pattern=_ADDRESS)
    user = reader.text("THREENINES_SMTP_USER")
    password_file = reader.readable_file("THREENINES_SMTP_PASSWORD_FILE")
    ca_file = reader.readable_file("THREENINES_SMTP_CA_FILE")
    if not host:
        return None
    if not sender:
        reader.problem("THREENINES_SMTP_FROM", "is needed with THREENINES_SMTP_HOST")
    if tls is SmtpTls.NONE and environment is Environment.PRODUCTION:
        reader.problem("THREENINES_SMTP_TLS", "none is for the laptop; production needs starttls or tls")
    if bool(user) != (password_file is not None):
        reader.problem(
            "THREENINES_SMTP_PASSWORD_FILE", "user and password belong together: set both or neither"
        )
    password = "" if password_file is None else password_file.read_text().strip()
    return SmtpConfig(host, port, sender, tls, user, password, ca_file)
