"""How a laptop's threenines watches itself: its services send their metrics to its own collector.

They do so as tenant `threenines` with a writer's token that is made once for the data directory;
of it only the hash goes into the configuration, like that of every token.
"""

from collections.abc import Mapping
from urllib.parse import quote

from services.common.auth import sha256_hex
from services.common.auth_tokens import split_token
from services.common.clock import Clock
from services.common.config_entries import subject_for
from services.common.config_feed import put_document
from services.common.documents import Document, Kind
from services.common.documents_platform import TenantSpec, TokenSpec
from services.common.errors import InvalidArgument
from services.common.log import connect_nats
from services.common.log_port import Log
from services.common.streams import CONFIG

OWN_TENANT = "threenines"
_ACTOR = "up"
_INTERVAL_MS = 10_000
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def own_metrics_wanted(environ: Mapping[str, str], *, auth: str) -> bool:
    """Whether services report to their own collector.

    Not where somebody chose another endpoint, not without tokens (there is only one tenant then),
    and not over TLS, whose authority only the operator knows.
    """
    return auth == "token" and not environ.get(_ENDPOINT) and not environ.get("THREENINES_TLS_CERT_FILE")


def own_metrics_environment(otlp_address: str, token: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make a service's exporter send there."""
    return {
        _ENDPOINT: f"http://{otlp_address}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={quote(f'Bearer {token}', safe='')}",
        "OTEL_METRIC_EXPORT_INTERVAL": environ.get("OTEL_METRIC_EXPORT_INTERVAL", str(_INTERVAL_MS)),
    }


async def grant_own_metrics(nats_url: str, token: str, clock: Clock) -> None:
    """Make the token known, and its tenant where there is none yet.

    Raises:
        Unavailable: the log does not answer.
    """
    engine = await connect_nats(nats_url, clock=clock)
    try:
        await engine.ensure_streams()
        for document in await _missing(engine.log, token):
            await put_document(engine.log, document, actor=_ACTOR, clock=clock)
    finally:
        await engine.close()


async def _missing(log: Log, token: str) -> list[Document]:
    parts = split_token(token)
    if parts is None:
        raise InvalidArgument("the token of our own metrics is damaged; remove its file and start again")
    token_id, secret = parts
    spec = TokenSpec(token_id=token_id, tenant=OWN_TENANT, role="writer", sha256=sha256_hex(secret))
    documents = [Document(Kind.TOKEN, None, token_id, spec)]
    if await log.last_entry(CONFIG, subject_for(Kind.TENANT, None, OWN_TENANT)) is None:
        documents.insert(0, Document(Kind.TENANT, None, OWN_TENANT, TenantSpec(display_name="threenines")))
    # A token that was revoked stays so: whoever did it does not want these metrics.
    known = await log.last_entry(CONFIG, subject_for(Kind.TOKEN, None, token_id))
    return documents if known is None else documents[:-1]
