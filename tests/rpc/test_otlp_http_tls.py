"""The HTTP server with a certificate: TLS 1.3 and nothing older, client certificates where asked for."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.collector.otlp_http_protocol import HttpLimits
from services.collector.otlp_http_server import HttpServer
from services.common.environment import ConfigurationError
from services.common.settings import Environment, ServerConfig
from tests.rpc.test_tls import ECDSA, certificate, handshake


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """The smallest application."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def served(config: ServerConfig) -> AsyncIterator[HttpServer]:
    """A server for the length of a test."""
    server = HttpServer(hello, config, HttpLimits(), drain_s=1)
    task = asyncio.create_task(server.serve())
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.wait([task])
        server.close()


async def get(port: int, context: ssl.SSLContext) -> str:
    """What the server says."""
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(f"https://localhost:{port}/")).text


async def test_only_tls13_is_spoken(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, ECDSA)
    config = ServerConfig("127.0.0.1:0", cert, key, environment=Environment.PRODUCTION)
    async with served(config) as server:
        assert await get(server.port, ssl.create_default_context(cafile=cert)) == "hello"
        assert await asyncio.to_thread(handshake, server.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert await asyncio.to_thread(handshake, server.port, ssl.TLSVersion.TLSv1_2) is None


async def test_clients_without_a_certificate_are_not_let_in_where_one_is_asked_for(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, ECDSA)
    async with served(ServerConfig("127.0.0.1:0", cert, key, cert)) as server:
        stranger = ssl.create_default_context(cafile=cert)
        with pytest.raises(httpx.TransportError):
            await get(server.port, stranger)
        known = ssl.create_default_context(cafile=cert)
        known.load_cert_chain(cert, key)
        assert await get(server.port, known) == "hello"


def test_production_without_a_certificate_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="production needs TLS"):
        HttpServer(
            hello, ServerConfig("127.0.0.1:0", environment=Environment.PRODUCTION), HttpLimits(), drain_s=1
        )


async def test_a_port_that_is_taken_is_a_wrong_configuration() -> None:
    async with served(ServerConfig("127.0.0.1:0")) as server:
        with pytest.raises(ConfigurationError, match="cannot listen on"):
            HttpServer(hello, ServerConfig(f"127.0.0.1:{server.port}"), HttpLimits(), drain_s=1)


def test_an_address_that_nobody_knows_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        HttpServer(hello, ServerConfig("256.0.0.1:0"), HttpLimits(), drain_s=1)
