"""Remote write over the wire: statuses, headers, credentials, and what senders do wrong."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import cramjam
import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.quota import Quota
from services.collector.quota_memory import MemoryTokenBuckets
from services.collector.rate import RateGate
from services.collector.tallies import Tallies
from services.common.clock import SystemClock
from services.common.telemetry import Counters
from tests.remote_write_requests import TARGET, V1, V1_TYPE, V2, V2_TYPE, add_native, classic, snap
from tests.rpc.otlp_doors import MAX_REQUEST_BYTES, MEMORY_BYTES, Doors, open_doors

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITTEN = "x-prometheus-remote-write-{}-written"
DAY_MS = 86_400_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[Doors]:
    """One receiver for the module."""
    async with open_doors() as opened:
        yield opened


async def write(
    doors: Doors,
    request: V1 | V2 | bytes,
    *,
    media: str | None = None,
    encoding: str | None = "snappy",
    token: str | None = "writer",
    method: str = "POST",
) -> httpx.Response:
    """Send a request as Prometheus does; bytes go as they are."""
    body = request if isinstance(request, bytes) else snap(request.raw())
    headers = {"content-type": media or (V2_TYPE if isinstance(request, V2) else V1_TYPE)}
    headers["x-prometheus-remote-write-version"] = "2.0.0" if isinstance(request, V2) else "0.1.0"
    if encoding is not None:
        headers["content-encoding"] = encoding
    if token is not None:
        headers["authorization"] = f"Bearer {doors.tokens.get(token, token)}"
    url = doors.url.replace("/v1/metrics", "/api/v1/write")
    return await doors.http.request(method, url, content=body, headers=headers)


def written(response: httpx.Response) -> tuple[int, ...] | None:
    """Samples, histograms and exemplars that were written; None when nothing is said."""
    found = [response.headers.get(WRITTEN.format(kind)) for kind in ("samples", "histograms", "exemplars")]
    assert found.count(None) in (0, 3)
    return None if found[0] is None else tuple(int(count or "") for count in found)


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and reason of an error, whose body is text."""
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.endswith("\n")
    return response.status_code, response.text.partition(":")[0]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def good(name: str = "up", kind: type[V1] | type[V2] = V2) -> V1 | V2:
    """A request that is taken as a whole."""
    request = kind()
    request.add({"__name__": name, **TARGET}, (1.0, now_ms()))
    return request


async def test_what_is_written_is_in_the_log_as_otlp(doors: Doors) -> None:
    request = V2()
    at = now_ms()
    for labels, value, time_ms in classic("lat", [3, 0, 4], [0.1, 0.5], at):
        exemplars = [({"trace_id": "0af7651916cd43dd8448eb211c80319c"}, 0.3, at)] if "le" in labels else []
        request.add(labels, (value, time_ms), kind=3, exemplars=exemplars)
    add_native(request.add({"__name__": "size", **TARGET}), at, count_int=0)

    response = await write(doors, request)

    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert written(response) == (5, 1, 3)
    logged = ExportMetricsServiceRequest.FromString((await doors.logged())[-1])
    (resource,) = logged.resource_metrics
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes} == {
        "service.namespace": "shop",
        "service.name": "api",
        "service.instance.id": "10.0.0.1:9090",
    }
    (scope,) = resource.scope_metrics
    assert [(m.name, m.WhichOneof("data")) for m in scope.metrics] == [
        ("lat", "histogram"),
        ("size", "exponential_histogram"),
    ]


async def test_version_1_hears_204_and_nothing_else(doors: Doors) -> None:
    response = await write(doors, good(kind=V1))

    assert (response.status_code, response.content, written(response)) == (204, b"", None)


@pytest.mark.parametrize(
    ("media", "kind"),
    [
        ("application/x-protobuf", V1),
        ("application/x-protobuf; proto=prometheus.WriteRequest", V1),
        ("Application/X-Protobuf ; charset=x; proto=io.prometheus.write.v2.Request", V2),
        ('application/x-protobuf;proto="io.prometheus.write.v2.Request"', V2),
    ],
)
async def test_the_content_type_says_which_message_it_is(
    doors: Doors, media: str, kind: type[V1] | type[V2]
) -> None:
    assert (await write(doors, good(kind=kind), media=media)).status_code == 204


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "text/plain",
        "application/x-protobuf;proto=prometheus.Nothing",
        "application/x-protobuf;proto=IO.prometheus.write.v2.request",
        "application/x-protobuf;proto*=utf-8''x",
        "application/openmetrics-text;proto=prometheus.WriteRequest",
    ],
)
async def test_another_message_is_415_and_says_which_are_taken(doors: Doors, media: str) -> None:
    response = await write(doors, good(), media=media)

    assert refusal(response) == (415, "CONTENT_TYPE_UNSUPPORTED")
    assert "proto=io.prometheus.write.v2.Request" in response.text
    assert written(response) is None


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity", "snappy, snappy", "x-snappy-framed"])
async def test_another_compression_is_415_and_says_which_is_taken(doors: Doors, encoding: str) -> None:
    response = await write(doors, good(), encoding=encoding)

    assert refusal(response) == (415, "CONTENT_ENCODING_UNSUPPORTED")
    assert response.headers["accept-encoding"] == "snappy"


async def test_snappy_is_meant_when_nothing_is_said(doors: Doors) -> None:
    assert (await write(doors, good(), encoding=None)).status_code == 204


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
async def test_another_method_is_405(doors: Doors, method: str) -> None:
    response = await write(doors, b"", method=method)

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/api/v1/write/", "/api/v1", "/api/v1/push", "/write"])
async def test_another_path_is_404(doors: Doors, path: str) -> None:
    url = doors.url.replace("/v1/metrics", path)

    assert (await doors.http.post(url, content=b"")).status_code == 404


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        (None, 401, "TOKEN_MISSING"),
        ("wrong", 401, None),
        ("revoked", 401, None),
        ("reader", 403, "ROLE_NOT_ALLOWED"),
        ("platform", 403, "TENANT_REQUIRED"),
    ],
)
async def test_who_may_not_send_is_told_so(
    doors: Doors, token: str | None, status: int, reason: str | None
) -> None:
    before = len(await doors.logged())
    response = await write(doors, good(), token=token)

    found = refusal(response)
    assert found == (status, found[1] if reason is None else reason)
    assert ("www-authenticate" in response.headers) is (status == 401)
    assert len(await doors.logged()) == before


@pytest.mark.parametrize("kind", [V1, V2])
async def test_part_of_a_request_is_400_after_the_rest_is_stored(
    doors: Doors, kind: type[V1] | type[V2]
) -> None:
    request = kind()
    old = now_ms() - 30 * DAY_MS
    request.add({"__name__": "good_total", **TARGET}, (1.0, now_ms()))
    request.add({"__name__": "old", **TARGET}, (1.0, old), (2.0, old + 1))
    request.add({**TARGET}, (1.0, now_ms()))
    request.add({"__name__": "far", **TARGET}, (1.0, now_ms() + DAY_MS))

    response = await write(doors, request)

    assert refusal(response) == (400, "PARTIAL_WRITE")
    assert "written were 1 of 5 samples" in response.text
    for reason in ("POINT_TOO_OLD: 2 points", "METRIC_NAME_MISSING: 1 samples", "POINT_TOO_NEW: 1 points"):
        assert reason in response.text
    assert written(response) == ((1, 0, 0) if kind is V2 else None)
    logged = ExportMetricsServiceRequest.FromString((await doors.logged())[-1])
    assert "good_total" in {m.name for m in logged.resource_metrics[0].scope_metrics[0].metrics}


async def test_a_histogram_that_is_refused_counts_as_all_of_its_samples(doors: Doors) -> None:
    request = V2()
    for labels, value, time_ms in classic("lat", [3, 0, 4], [0.1, 0.5], now_ms() - 30 * DAY_MS):
        request.add(labels, (value, time_ms), exemplars=[({}, 1.0, time_ms)])
    request.add({"__name__": "up"}, (1.0, now_ms()))

    response = await write(doors, request)

    assert (response.status_code, written(response)) == (400, (1, 0, 0))
    assert "written were 1 of 6 samples, 0 of 0 histograms, 0 of 5 exemplars" in response.text


LABELS: dict[str, tuple[list[tuple[str, str]], str | None]] = {
    "unsorted": ([("zone", "a"), ("__name__", "x"), ("job", "api")], None),
    "empty value": ([("__name__", "x"), ("zone", "")], None),
    "repeated": ([("__name__", "x"), ("zone", "a"), ("zone", "b")], "LABEL_REPEATED"),
    "repeated and unsorted": ([("zone", "a"), ("__name__", "x"), ("zone", "a")], "LABEL_REPEATED"),
    "empty name of a label": ([("", "a"), ("__name__", "x")], "LABEL_NAME_EMPTY"),
    "empty name of the metric": ([("__name__", "")], "METRIC_NAME_MISSING"),
    "no labels": ([], "METRIC_NAME_MISSING"),
}


@pytest.mark.parametrize("case", LABELS)
async def test_labels_are_taken_when_they_name_one_series(doors: Doors, case: str) -> None:
    labels, reason = LABELS[case]
    request = V1()
    request.add(labels, (1.0, now_ms()))
    before = len(await doors.logged())

    response = await write(doors, request)

    if reason is None:
        assert response.status_code == 204
        assert len(await doors.logged()) == before + 1
    else:
        assert refusal(response) == (400, "PARTIAL_WRITE")
        assert f"{reason}: 1 samples" in response.text
        assert len(await doors.logged()) == before


async def test_an_exemplar_alone_is_an_error_only_where_the_sender_can_tell_what_was_written(
    doors: Doors,
) -> None:
    for kind, status in ((V1, 204), (V2, 400)):
        request = kind()
        request.add({"__name__": "up"}, (1.0, now_ms()))
        request.add({"__name__": "other_total"}, exemplars=[({"trace_id": "x"}, 1.0, now_ms())])

        response = await write(doors, request)

        assert response.status_code == status
        assert written(response) == ((1, 0, 0) if kind is V2 else None)


@pytest.mark.parametrize("kind", [V1, V2])
async def test_an_empty_request_is_written(doors: Doors, kind: type[V1] | type[V2]) -> None:
    before = len(await doors.logged())
    response = await write(doors, kind())

    assert response.status_code == 204
    assert written(response) == ((0, 0, 0) if kind is V2 else None)
    assert len(await doors.logged()) == before


async def test_the_wrong_message_is_never_taken_as_an_empty_one(doors: Doors) -> None:
    for request, media in ((good(kind=V1), V2_TYPE), (good(kind=V2), V1_TYPE)):
        response = await write(doors, request, media=media)
        assert refusal(response) == (400, "REMOTE_WRITE_UNDECODABLE")


async def test_damaged_snappy_is_400(doors: Doors) -> None:
    body = snap(good().raw())
    framed = bytes(cramjam.snappy.compress(good().raw()))
    for sent in (b"", b"junk", body[:-1], body[: len(body) // 2], body + b"x", framed, b"\xff" * 20):
        response = await write(doors, sent, media=V2_TYPE)
        assert refusal(response)[0] in (400, 413), sent[:20]
        assert written(response) == (0, 0, 0)
    assert doors.admission.held_bytes == 0


async def test_damaged_protobuf_is_400(doors: Doors) -> None:
    for media in (V1_TYPE, V2_TYPE):
        for raw in (b"junk", b"\x0a\x05", b"\x0a" * 9, good().raw()[:-1], b"\x22\x02\xff\xfe"):
            response = await write(doors, snap(raw), media=media)
            assert refusal(response) == (400, "REMOTE_WRITE_UNDECODABLE"), raw


async def test_a_bomb_is_refused_for_what_it_says_it_becomes(doors: Doors) -> None:
    bomb = snap(bytes(64 << 20))
    lie = (60 << 10).to_bytes(3, "little")
    claims = b"\x80\x80\x3c" + lie  # 960 KiB, below the limit, in 6 bytes
    assert MAX_REQUEST_BYTES > 0x3C << 14

    assert refusal(await write(doors, bomb)) == (413, "REQUEST_TOO_LARGE")
    assert refusal(await write(doors, b"\xff\xff\xff\xff\x0f" + bytes(100))) == (413, "REQUEST_TOO_LARGE")
    assert refusal(await write(doors, claims)) == (400, "BODY_DAMAGED")
    assert refusal(await write(doors, bytes(MAX_REQUEST_BYTES + 1))) == (413, "REQUEST_TOO_LARGE")
    assert doors.admission.held_bytes == doors.admission.requests == 0


async def test_small_messages_that_stand_for_many_objects_are_refused(doors: Doors) -> None:
    """Two bytes for a series, a sample or a label: what a request may hold is counted, not weighed."""
    many = 110_000
    named = V1()
    series = named.add({"__name__": "x"})
    for message in (
        b"\x0a\x00" * many,
        named.raw() + _field(1, series.SerializeToString() + b"\x12\x00" * many),
    ):
        answer = await write(doors, snap(message))
        assert refusal(answer) == (413, "REQUEST_TOO_LARGE")

    labels = await write(doors, snap(_field(1, b"\x0a\x00" * many + b"\x12\x00")))
    assert refusal(labels) == (400, "PARTIAL_WRITE")
    assert "LABELS_TOO_MANY: 1 samples" in labels.text


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field; contents of 16 KiB to 2 MiB."""
    size = len(content)
    return bytes([number << 3 | 2, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + content


async def test_many_large_requests_stay_within_the_memory_for_requests(doors: Doors) -> None:
    request = V1()
    for place in range(3000):
        request.add({"__name__": f"metric_{place}", "padding": "x" * 50}, (1.0, now_ms()))
    body = snap(request.raw())
    assert MEMORY_BYTES // 20 < len(request.raw()) < MEMORY_BYTES // 10

    answers = await asyncio.gather(*(write(doors, body) for _ in range(12)))

    assert {answer.status_code for answer in answers} == {204, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
    assert doors.admission.held_bytes == doors.admission.requests == 0


async def test_without_memory_the_sender_is_asked_to_come_back(doors: Doors) -> None:
    with doors.admission.enter("test", MEMORY_BYTES, arriving=True):
        response = await write(doors, good())

    assert refusal(response) == (503, "RECEIVER_MEMORY_FULL")
    assert response.headers["retry-after"] in ("1", "2", "3"), "1.0 to 3.0 s, rounded up"
    assert written(response) == (0, 0, 0)


async def test_a_rate_that_is_used_up_is_429_with_a_delay() -> None:
    clock, counters = SystemClock(), Counters()
    quota = Quota(points_per_second=1)
    async with open_doors(
        rate=RateGate(MemoryTokenBuckets(clock), lambda _tenant: quota, clock, counters)
    ) as doors:
        answers = [await write(doors, good()) for _ in range(30)]

        refused = [answer for answer in answers if answer.status_code != 204]
        assert refused
        assert len(await doors.logged()) == 30 - len(refused)
        for answer in refused:
            assert refusal(answer) == (429, "RATE_LIMIT")
            assert int(answer.headers["retry-after"]) >= 1
            assert written(answer) == (0, 0, 0)


async def test_points_that_never_reach_the_receiver_are_counted_too() -> None:
    tallies = Tallies(Counters(), since_ns=0)
    async with open_doors(tallies=tallies) as doors:
        request = V2()
        request.add({"__name__": "up"}, (1.0, now_ms()))
        request.add({"no": "name"}, (1.0, now_ms()), (2.0, now_ms()))
        native = request.add({"__name__": "size"})
        add_native(native, now_ms(), count_float=0.5)
        assert (await write(doors, request)).status_code == 400

        tally = tallies.of("acme")
        assert (tally.points.received, tally.points.rejected, tally.points.acknowledged) == (4, 3, 1)
        assert tally.rejections == {"METRIC_NAME_MISSING": 2, "NATIVE_HISTOGRAM_FRACTIONAL": 1}


async def test_a_request_that_is_sent_again_is_the_same_in_the_log(doors: Doors) -> None:
    request = good("again_total")
    await write(doors, request)
    await write(doors, request)

    first, second = (await doors.logged())[-2:]
    assert first == second


async def test_nothing_that_a_client_sends_is_a_500(doors: Doors) -> None:
    rng = random.Random(11)
    one, two = V1(), V2()
    for request in (one, two):
        for labels, value, time_ms in classic("lat", [3, 0, 4], [0.1, 0.5], now_ms()):
            request.add(labels, (value, time_ms), exemplars=[({"trace_id": "ab"}, 1.0, time_ms)])
        series = request.add({"__name__": "size", **TARGET})
        add_native(series, now_ms(), count_int=3, positive_spans=[(1, 2)], positive_deltas=[1, 1])
    seen: set[int] = set()
    for _ in range(600):
        media, raw = rng.choice([(V1_TYPE, one.raw()), (V2_TYPE, two.raw())])
        body = bytearray(raw)
        for _ in range(rng.randint(0, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        sent = snap(bytes(body)) if rng.random() < 0.8 else bytes(body)
        response = await write(
            doors, sent[: rng.randint(0, len(sent))] if rng.random() < 0.1 else sent, media=media
        )
        seen.add(response.status_code)

    assert {204, 400} <= seen <= {204, 400, 413}
    assert doors.admission.held_bytes == 0
