"""The token of the platform's own metrics is known after a start, once, and stays revoked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed, put_document
from services.common.documents import Document, Kind
from services.common.documents_platform import TenantSpec, TokenSpec
from services.common.errors import InvalidArgument
from services.common.log import NatsEngine, connect_nats
from services.embedded.layout import DataDir
from services.embedded.own_metrics import OWN_TENANT, grant_own_metrics
from tests.engines_given import NatsLog, nats_server

pytestmark = pytest.mark.engines


@pytest_asyncio.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsLog]:
    """A log of its own."""
    server = nats_server(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


async def tokens(engine: NatsEngine) -> list[TokenSpec]:
    """The tokens in force."""
    feed = ConfigFeed(engine.log, SystemClock())
    await feed.start()
    try:
        return [one.spec for one in feed.specs(TokenSpec)]
    finally:
        await feed.stop()


async def test_it_is_a_writer_of_its_tenant_granted_once_and_a_revocation_outlives_the_next_start(
    nats: NatsLog, tmp_path: Path
) -> None:
    token = DataDir(tmp_path).own_metrics_token()
    for _ in range(2):
        await grant_own_metrics(nats.url, token, SystemClock())
    engine = await connect_nats(nats.url, clock=SystemClock())
    try:
        (spec,) = await tokens(engine)
        assert (spec.tenant, spec.role, spec.revoked) == (OWN_TENANT, "writer", False)
        assert token not in spec.model_dump_json()
        revoked = Document(Kind.TOKEN, None, spec.token_id, spec.model_copy(update={"revoked": True}))
        own = Document(Kind.TENANT, None, OWN_TENANT, TenantSpec(display_name="renamed"))
        for document in (revoked, own):
            await put_document(engine.log, document, actor="somebody", clock=SystemClock())

        await grant_own_metrics(nats.url, token, SystemClock())

        assert (await tokens(engine))[0].revoked
        feed = ConfigFeed(engine.log, SystemClock())
        await feed.start()
        (tenant,) = feed.specs(TenantSpec)
        await feed.stop()
        assert tenant.spec.display_name == "renamed"
    finally:
        await engine.close()


async def test_a_damaged_token_is_named_as_such(nats: NatsLog) -> None:
    with pytest.raises(InvalidArgument, match="damaged"):
        await grant_own_metrics(nats.url, "nonsense", SystemClock())
