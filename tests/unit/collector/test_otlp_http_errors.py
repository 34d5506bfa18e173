"""Every error of ours as an HTTP answer that makes OTLP clients do the right thing."""

import json

import pytest
from google.rpc import code_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from services.collector import errors as collector_errors
from services.collector import otlp_http_errors
from services.collector.otlp_http_errors import JSON, PROTOBUF, encoded, error_answer
from services.common import errors
from services.common.errors import ThreeninesError
from services.common.grpc_errors import STATUS_BY_ERROR

_RETRIED = {429, 502, 503, 504}
# https://opentelemetry.io/docs/specs/otlp/#failures
_RETRIED_OVER_GRPC = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidArgument, 400),
        (errors.FailedPrecondition, 400),
        (collector_errors.Undecodable, 400),
        (collector_errors.PointTooLarge, 400),
        (otlp_http_errors.WrongBody, 400),
        (errors.Unauthenticated, 401),
        (errors.PermissionDenied, 403),
        (errors.NotFound, 404),
        (otlp_http_errors.WrongPath, 404),
        (otlp_http_errors.WrongMethod, 405),
        (errors.AlreadyExists, 409),
        (collector_errors.RequestTooLarge, 413),
        (otlp_http_errors.UnsupportedMediaType, 415),
        (otlp_http_errors.UnsupportedEncoding, 415),
        (errors.ResourceExhausted, 429),
        (errors.NotBuilt, 501),
        (errors.Aborted, 503),
        (errors.Unavailable, 503),
        (errors.DeadlineExceeded, 504),
    ],
)
def test_every_error_has_its_status(error: type[ThreeninesError], status: int) -> None:
    got, _, body = error_answer(error("text"))

    assert got == status
    assert body.message == "text"
    assert body.code != code_pb2.OK


@pytest.mark.parametrize("error", STATUS_BY_ERROR)
def test_what_is_retried_over_one_transport_is_retried_over_the_other(error: type[ThreeninesError]) -> None:
    status, _, body = error_answer(error("text", retry_after_s=1.0))
    code = code_pb2.Code.Name(body.code)

    assert (status in _RETRIED) == (code in _RETRIED_OVER_GRPC or code == "RESOURCE_EXHAUSTED")
    assert status != 500


@pytest.mark.parametrize(("delay_s", "header"), [(0.001, b"1"), (1.0, b"1"), (1.2, b"2"), (30.0, b"30")])
def test_the_delay_is_in_whole_seconds_and_never_too_short(delay_s: float, header: bytes) -> None:
    _, headers, _ = error_answer(errors.Unavailable("text", retry_after_s=delay_s))

    assert dict(headers)[b"retry-after"] == header


def test_without_a_delay_there_is_no_header() -> None:
    _, headers, _ = error_answer(collector_errors.RequestTooLarge("text"))

    assert headers == []


def test_answers_have_the_encoding_that_is_asked_for() -> None:
    response = ExportMetricsServiceResponse()
    response.partial_success.rejected_data_points = 2**53 + 1

    assert ExportMetricsServiceResponse.FromString(encoded(response, PROTOBUF)) == response
    assert json.loads(encoded(response, JSON)) == {"partialSuccess": {"rejectedDataPoints": str(2**53 + 1)}}
    assert json.loads(encoded(ExportMetricsServiceResponse(), JSON)) == {}
