"""Every error reaches a real client with its status, reason and details, over every kind of call."""

import logging

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common import errors
from services.common.errors import FieldViolation, ThreeninesError
from services.common.grpc_details import read_details
from services.common.grpc_errors import STATUS_BY_ERROR, status_of
from tests.rpc.generic_service import KINDS, NAME, probe_server

OUTCOMES = [
    (errors.InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (errors.FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Aborted, grpc.StatusCode.ABORTED),
    (errors.ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE),
    (errors.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.NotBuilt, grpc.StatusCode.UNIMPLEMENTED),
]


def raising(error):
    def act():
        raise error

    return act


async def failure_of(stub, kind="UnaryUnary", value=1):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.call(kind, value)
    return caught.value


def details_of(error):
    """The details as the official client library reads them, by type."""

    class Call:
        def code(self):
            return error.code()

        def details(self):
            return error.details()

        def trailing_metadata(self):
            return error.trailing_metadata()

    status = rpc_status.from_call(Call())
    found = {}
    for detail in status.details:
        kind = getattr(error_details_pb2, detail.type_url.rpartition(".")[2])
        found[kind.__name__] = kind.FromString(detail.value)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("error_class", "status"), OUTCOMES, ids=[each.__name__ for each, _ in OUTCOMES])
async def test_each_outcome_has_its_status_and_reason_over_each_kind(kind, error_class, status):
    async with probe_server(raising(error_class("not like this", reason="PROBE_SAYS_NO"))) as stub:
        error = await failure_of(stub, kind)

    assert (error.code(), error.details()) == (status, "not like this")
    info = details_of(error)["ErrorInfo"]
    assert (info.reason, info.domain) == ("PROBE_SAYS_NO", "threenines")


@pytest.mark.parametrize("kind", KINDS)
async def test_without_an_error_every_kind_answers(kind):
    async with probe_server(lambda: None) as stub:
        assert (await stub.call(kind, 6))[0] == 7


@pytest.mark.parametrize("kind", ["UnaryStream", "StreamStream"])
async def test_what_was_streamed_before_the_error_arrives(kind):
    async with probe_server(raising(errors.Unavailable("gone"))) as stub:
        await failure_of(stub, kind, 5)

        assert stub.answers == [6]


def test_the_table_has_every_outcome_and_nothing_else():
    tree = {each for each in ThreeninesError.__subclasses__() if each.__module__ == errors.__name__}

    assert set(STATUS_BY_ERROR) == tree == {each for each, _ in OUTCOMES}


def test_a_services_own_error_inherits_its_status():
    class TooManySeries(errors.ResourceExhausted):
        pass

    assert status_of(TooManySeries) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status_of(ThreeninesError) is None


async def test_every_detail_travels():
    error = errors.Unavailable(
        "the log is full",
        reason="LOG_FULL",
        violations=[FieldViolation("spec.target", "too high"), FieldViolation("spec.window", "too long")],
        retry_after_s=2.5,
        next_step="Free some space.",
        metadata={"stream": "OTLP"},
    )
    async with probe_server(raising(error)) as stub:
        failure = await failure_of(stub)
    found = details_of(failure)

    assert found["ErrorInfo"].metadata == {"stream": "OTLP"}
    assert [(v.field, v.description) for v in found["BadRequest"].field_violations] == [
        ("spec.target", "too high"),
        ("spec.window", "too long"),
    ]
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == 2500
    assert found["LocalizedMessage"].message == "Free some space."
    assert read_details(failure).violations == error.violations


async def test_an_error_that_is_not_retryable_names_no_delay():
    async with probe_server(raising(errors.ResourceExhausted("quota"))) as stub:
        assert "RetryInfo" not in details_of(await failure_of(stub))


async def test_an_error_with_very_many_violations_still_arrives():
    violations = [FieldViolation(f"points[{n}].value", "не число " * 9) for n in range(5000)]
    async with probe_server(raising(errors.InvalidArgument("ж" * 5000, violations=violations))) as stub:
        error = await failure_of(stub)

    found = read_details(error)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert 0 < len(found.violations) < 5000
    assert int(found.metadata["violations_omitted"]) == 5000 - len(found.violations)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unmapped_error_is_internal_and_tells_nothing_but_its_id(kind, caplog):
    with caplog.at_level(logging.ERROR):
        async with probe_server(raising(RuntimeError("password=hunter-two"))) as stub:
            error = await failure_of(stub, kind)
    error_id = read_details(error).metadata["error_id"]

    assert error.code() is grpc.StatusCode.INTERNAL
    assert read_details(error).reason == "INTERNAL"
    assert "hunter-two" not in f"{error.details()} {error.trailing_metadata()}"
    record = next(each for each in caplog.records if error_id in each.getMessage())
    assert "hunter-two" in str(record.exc_info)


async def test_what_the_generated_base_does_not_implement_is_not_built():
    async with probe_server(raising(NotImplementedError("Method not implemented!"))) as stub:
        error = await failure_of(stub)

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert read_details(error).reason == "RPC_NOT_BUILT"
    assert NAME in error.details()


async def test_our_own_not_implemented_error_is_a_defect_and_not_a_contract():
    async with probe_server(raising(NotImplementedError("one branch is missing"))) as stub:
        assert (await failure_of(stub)).code() is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_that_are_no_message_are_an_invalid_argument(kind):
    async with probe_server(lambda: None) as stub:
        error = await failure_of(stub, kind, b"\xff\xff\xff")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert read_details(error).reason == "REQUEST_UNDECODABLE"


async def test_a_request_above_the_limit_is_refused():
    async with probe_server(lambda: None, max_receive_bytes=1 << 10) as stub:
        assert (
            await failure_of(stub, "UnaryUnary", bytes(1 << 11))
        ).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_method_is_unimplemented():
    async with probe_server(lambda: None) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.channel.unary_unary("/threenines.test.v1.Probe/Nothing")(b"", timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert read_details(caught.value).reason == ""
