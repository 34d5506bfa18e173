"""OTLP's three doors on one receiver: gRPC, HTTP with protobuf, HTTP with JSON.

Real servers on free ports over the shipped memory log; real clients. A door sends a request or
bytes and says what came back in the same words whatever the transport, so that one table of cases
holds for all three. Not a test file.
"""

import asyncio
import contextlib
import gzip
import secrets
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import zstandard
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from services.collector.admission import Admission, AdmissionConfig
from services.collector.http_routes import HttpRoutes
from services.collector.otlp_http import OtlpHttp, OtlpHttpConfig
from services.collector.otlp_http_protocol import HttpLimits
from services.collector.otlp_http_server import HttpServer
from services.collector.otlp_servicer import SERVER_OPTIONS, SERVICE_NAME, add_metrics_service
from services.collector.rate import RateGate
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.record import decode_record
from services.collector.remote_write import PATH as WRITE_PATH
from services.collector.remote_write import RemoteWrite
from services.collector.tallies import Tallies
from services.collector.validate import AcceptLimits
from services.common.auth import Authenticator, Role, TokenRecord, TokenTable, mint_token
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.log_memory import MemoryLog
from services.common.settings import ServerConfig
from services.common.streams import OTLP
from services.common.telemetry import Counters
from tests.collector_process import EXPORT_METHOD
from tests.otlp_json_writer import otlp_json

MAX_REQUEST_BYTES = 1 << 20
MEMORY_BYTES = 4 << 20
PROTOBUF, JSON = "application/x-protobuf", "application/json"
COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
_GRPC_COMPRESSION = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}


@dataclass
class Answer:
    """What a client learns, in gRPC's words; `http` and `headers` only over HTTP."""

    code: str
    response: ExportMetricsServiceResponse | None = None
    status: status_pb2.Status | None = None
    http: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)

    @property
    def reason(self) -> str:
        """The reason of the ErrorInfo."""
        return str(self.detail(error_details_pb2.ErrorInfo).reason)

    @property
    def retry_s(self) -> float | None:
        """The delay of the RetryInfo; None without one."""
        retry = self.detail(error_details_pb2.RetryInfo)
        return float(retry.retry_delay.ToNanoseconds() / 1e9) if retry.HasField("retry_delay") else None

    def detail(self, kind: Any) -> Any:
        """The detail of that kind; an empty one without."""
        found = kind()
        for each in self.status.details if self.status is not None else ():
            each.Unpack(found)
            if each.Is(found.DESCRIPTOR):
                return found
        return kind()


@dataclass
class Doors:
    """A receiver and where it listens."""

    log: MemoryLog
    admission: Admission
    counters: Counters
    receiver: Receiver
    grpc_address: str
    grpc_channel: grpc.aio.Channel
    http: httpx.AsyncClient
    server: HttpServer
    tokens: dict[str, str]
    serving: "asyncio.Task[None]"

    async def stop_http(self) -> None:
        """Stop the HTTP door as a stopping process does; returns when it has drained."""
        self.serving.cancel()
        await asyncio.wait([self.serving])

    @property
    def url(self) -> str:
        """Of the HTTP door."""
        return f"http://127.0.0.1:{self.server.port}/v1/metrics"

    async def logged(self) -> list[bytes]:
        """The requests in the log, as received."""
        entries = await self.log.read(OTLP, 1)
        return [one.raw for entry in entries for one in decode_record(entry.data).requests]

    async def send(
        self,
        door: str,
        request: ExportMetricsServiceRequest | bytes,
        *,
        token: str | None = "writer",
        encoding: str | None = None,
    ) -> Answer:
        """Send through `grpc`, `protobuf` or `json`; bytes go as they are, before compression."""
        text = self.tokens.get(token, token) if token is not None else None
        if door == "grpc":
            raw = request if isinstance(request, bytes) else request.SerializeToString(deterministic=True)
            return await self._send_grpc(raw, text, encoding)
        media = PROTOBUF if door == "protobuf" else JSON
        if not isinstance(request, bytes):
            request = (
                request.SerializeToString(deterministic=True) if door == "protobuf" else otlp_json(request)
            )
        body = COMPRESS[encoding](request) if encoding else request
        return await self.post(body, media, text, **({"content-encoding": encoding} if encoding else {}))

    async def post(self, body: Any, media: str | None, token: str | None = None, **headers: str) -> Answer:
        """POST a body as it is; headers' underscores become hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if media is not None:
            sent["content-type"] = media
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return read_http(await self.http.post(self.url, content=body, headers=sent))

    async def _send_grpc(self, raw: bytes, token: str | None, encoding: str | None) -> Answer:
        metadata = [] if token is None else [("authorization", f"Bearer {token}")]
        compression = _GRPC_COMPRESSION[encoding] if encoding else None
        try:
            answer = await self.grpc_channel.unary_unary(EXPORT_METHOD)(
                raw, metadata=metadata, compression=compression, timeout=20
            )
        except grpc.aio.AioRpcError as err:
            status = rpc_status.from_call(err)  # type: ignore[arg-type]
            return Answer(err.code().name, status=status)
        return Answer("OK", response=ExportMetricsServiceResponse.FromString(answer))


def read_http(response: httpx.Response) -> Answer:
    """The answer in gRPC's words; fails when the body is not of the type it says."""
    message: Any = ExportMetricsServiceResponse() if response.status_code == 200 else status_pb2.Status()
    if response.headers["content-type"] == PROTOBUF:
        message.ParseFromString(response.content)
    else:
        assert response.headers["content-type"] == JSON
        json_format.Parse(response.content, message)
    if response.status_code == 200:
        return Answer("OK", response=message, http=200, headers=response.headers)
    code = code_pb2.Code.Name(message.code)
    return Answer(code, status=message, http=response.status_code, headers=response.headers)


@contextlib.asynccontextmanager
async def open_doors(
    *,
    tallies: Tallies | None = None,
    limits: HttpLimits | None = None,
    body_timeout_s: float = 30.0,
    max_requests: int = 64,
    drain_s: float = 5.0,
    rate: RateGate | None = None,
    accept: AcceptLimits | None = None,
) -> AsyncIterator[Doors]:
    """Serve the three doors; requests are limited to MAX_REQUEST_BYTES."""
    clock, counters = SystemClock(), Counters()
    log = MemoryLog(clock)
    tallies = tallies or Tallies(counters, since_ns=0)
    receiver = Receiver(
        log=log,
        tallies=tallies,
        clock=clock,
        random_bytes=secrets.token_bytes,
        config=ReceiveConfig(limits=accept or AcceptLimits(), max_request_bytes=MAX_REQUEST_BYTES),
        rate=rate,
    )
    admission = Admission(AdmissionConfig(MEMORY_BYTES, max_requests), counters)
    authenticator, tokens = _credentials()
    http_config = OtlpHttpConfig(max_request_bytes=MAX_REQUEST_BYTES, body_timeout_s=body_timeout_s)
    otlp = OtlpHttp(receiver=receiver, authenticator=authenticator, admission=admission, config=http_config)
    write = RemoteWrite(
        receiver=receiver,
        authenticator=authenticator,
        admission=admission,
        tallies=tallies,
        config=http_config,
    )
    app = HttpRoutes({WRITE_PATH: write}, otlp)
    config = ServerConfig(listen="127.0.0.1:0")
    server = HttpServer(app, config, limits or HttpLimits(), drain_s=drain_s)
    grpc_server = build_server(
        config=config,
        authenticator=authenticator,
        health=HealthRegistry(clock),
        service_names=[SERVICE_NAME],
        max_receive_bytes=MAX_REQUEST_BYTES,
        more_options=SERVER_OPTIONS,
    )
    add_metrics_service(grpc_server, receiver, admission)
    await grpc_server.start()
    serving = asyncio.create_task(server.serve())
    options, address = [("grpc.max_send_message_length", -1)], f"127.0.0.1:{bound_port(grpc_server)}"
    try:
        async with (
            grpc.aio.insecure_channel(address, options=options) as channel,
            httpx.AsyncClient(trust_env=False, timeout=20) as http,
        ):
            yield Doors(log, admission, counters, receiver, address, channel, http, server, tokens, serving)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        await grpc_server.stop(0)


def _credentials() -> tuple[Authenticator, dict[str, str]]:
    roles = {"writer": Role.WRITER, "reader": Role.READER, "revoked": Role.WRITER, "platform": Role.OPERATOR}
    minted = {name: mint_token(secrets.token_bytes) for name in roles}
    records = [
        TokenRecord(
            minted[name].token_id,
            "*" if name == "platform" else "acme",
            role,
            minted[name].sha256,
            revoked=name == "revoked",
        )
        for name, role in roles.items()
    ]
    return Authenticator("token", TokenTable(records)), {name: one.text for name, one in minted.items()}
