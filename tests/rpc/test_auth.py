"""No call without an identity, none beyond it: over a real server, for every kind of call."""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.common.auth import (
    Authenticator,
    Role,
    TokenTable,
    current_principal,
    mint_token,
    require_platform,
    require_tenant,
    sha256_hex,
)
from services.common.auth_tokens import TokenRecord
from services.common.clock import SystemClock
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import build_server
from services.common.settings import ConfigurationError, Environment, ServerConfig
from tests.rpc.generic_service import KINDS, NAME, ProbeStub, probe_server


@dataclass
class Tokens:
    """One token of each sort, and the table that knows them."""

    table: TokenTable
    reader: str
    writer: str
    revoked: str
    platform: str
    admin: str

    @property
    def authenticator(self):
        return Authenticator("token", self.table, sha256_hex(self.admin))


@pytest.fixture
def tokens():
    minted = {name: mint_token(secrets.token_bytes) for name in ("reader", "writer", "revoked", "platform")}
    records = [
        TokenRecord(minted["reader"].token_id, "acme", Role.READER, minted["reader"].sha256),
        TokenRecord(minted["writer"].token_id, "acme", Role.WRITER, minted["writer"].sha256),
        TokenRecord(minted["revoked"].token_id, "acme", Role.READER, minted["revoked"].sha256, revoked=True),
        TokenRecord(minted["platform"].token_id, "*", Role.OPERATOR, minted["platform"].sha256),
    ]
    texts = {name: token.text for name, token in minted.items()}
    return Tokens(TokenTable(records), admin=mint_token(secrets.token_bytes).text, **texts)


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


async def refusal(stub, metadata, kind="UnaryUnary"):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.call(kind, metadata=metadata)
    return caught.value.code(), read_details(caught.value).reason


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_token_no_handler_runs(tokens, kind):
    ran = []
    async with probe_server(lambda: ran.append(1), authenticator=tokens.authenticator) as stub:
        assert await refusal(stub, (), kind) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")

    assert not ran


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_token_is_refused(tokens, kind):
    unknown = bearer(mint_token(secrets.token_bytes).text)
    async with probe_server(lambda: None, authenticator=tokens.authenticator) as stub:
        assert await refusal(stub, unknown, kind) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")


async def test_a_token_is_refused_as_soon_as_it_is_revoked(tokens):
    async with probe_server(lambda: None, authenticator=tokens.authenticator) as stub:
        revoked = await refusal(stub, bearer(tokens.revoked))
        await stub.call("UnaryUnary", metadata=bearer(tokens.reader))
        tokens.table.replace([])
        gone = await refusal(stub, bearer(tokens.reader))

    assert revoked == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    assert gone == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_handler_knows_who_calls(tokens, kind):
    seen = []
    async with probe_server(
        lambda: seen.append(current_principal()), authenticator=tokens.authenticator
    ) as stub:
        await stub.call(kind, metadata=bearer(tokens.reader))
        await stub.call(kind, metadata=bearer(tokens.admin))

    assert [(each.tenant, each.role) for each in seen] == [("acme", Role.READER), ("*", Role.ADMIN)]


@pytest.mark.parametrize("kind", KINDS)
async def test_another_tenants_data_is_denied(tokens, kind):
    async with probe_server(
        lambda: require_tenant("globex", Role.READER), authenticator=tokens.authenticator
    ) as stub:
        denied = await refusal(stub, bearer(tokens.reader), kind)

    assert denied == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")


async def test_the_wrong_role_is_denied(tokens):
    async with probe_server(
        lambda: require_tenant("acme", Role.READER), authenticator=tokens.authenticator
    ) as stub:
        assert await refusal(stub, bearer(tokens.writer)) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "ROLE_NOT_ALLOWED",
        )
        assert await stub.call("UnaryUnary", metadata=bearer(tokens.reader)) == [2]


async def test_only_the_platform_operates_the_platform(tokens):
    async with probe_server(
        lambda: require_platform(Role.OPERATOR), authenticator=tokens.authenticator
    ) as stub:
        denied = await refusal(stub, bearer(tokens.reader))
        await stub.call("UnaryUnary", metadata=bearer(tokens.platform))
        await stub.call("UnaryUnary", metadata=bearer(tokens.admin))

    assert denied == (grpc.StatusCode.PERMISSION_DENIED, "PLATFORM_ONLY")


async def test_a_tenant_named_in_the_metadata_changes_nothing(tokens):
    claimed = (*bearer(tokens.reader), ("x-scope-orgid", "globex"), ("tenant", "globex"))
    seen = []
    async with probe_server(
        lambda: seen.append(current_principal().tenant), authenticator=tokens.authenticator
    ) as stub:
        await stub.call("UnaryUnary", metadata=claimed)

    assert seen == ["acme"]


async def test_calls_at_the_same_moment_are_not_mixed_up(tokens):
    seen = Counter()

    async def call(channel, token):
        await ProbeStub(channel, bearer(token)).call("UnaryStream")

    async with probe_server(
        lambda: seen.update([current_principal().token_id]), authenticator=tokens.authenticator
    ) as stub:
        texts = [tokens.reader, tokens.writer, tokens.platform] * 15
        await asyncio.gather(*(call(stub.channel, text) for text in texts))

    assert sorted(seen.values()) == [15, 15, 15]


async def test_mode_none_believes_everybody_to_be_the_default_tenant():
    seen = []
    async with probe_server(lambda: seen.append(current_principal().tenant)) as stub:
        await stub.call("UnaryUnary", metadata=())

    assert seen == ["default"]


def test_production_refuses_mode_none():
    with pytest.raises(ConfigurationError, match="THREENINES_AUTH"):
        Authenticator("none", TokenTable(), environment=Environment.PRODUCTION)


async def test_production_refuses_plaintext(tokens):
    with pytest.raises(ConfigurationError, match="THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE"):
        build_server(
            config=ServerConfig("127.0.0.1:0", environment=Environment.PRODUCTION),
            authenticator=tokens.authenticator,
            health=HealthRegistry(SystemClock()),
            service_names=[NAME],
        )


async def test_health_and_reflection_need_no_token(tokens):
    async with probe_server(lambda: None, authenticator=tokens.authenticator) as stub:
        health = health_pb2_grpc.HealthStub(stub.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=5)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        calls = reflection_pb2_grpc.ServerReflectionStub(stub.channel).ServerReflectionInfo(asked, timeout=5)
        listed = [
            each.name for reply in [await calls.read()] for each in reply.list_services_response.service
        ]

    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert NAME in listed
