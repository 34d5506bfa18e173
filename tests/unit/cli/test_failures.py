"""What a person reads when a service refuses: the sentence, the fields, and what to do next."""

import io

import grpc
import pytest
import typer
from rich.console import Console

from services.cli.failures import EXIT_FAILED, told_to_people
from services.common.errors import FailedPrecondition, FieldViolation, InvalidArgument, ThreeninesError
from services.common.grpc_details import DETAILS_KEY, status_proto


class Refused(grpc.RpcError, grpc.Call):
    """What a stub raises for an error of ours, with the trailers that the interceptor sends."""

    def __init__(self, error: ThreeninesError, code: grpc.StatusCode) -> None:
        self._status, self._code = status_proto(error, code), code

    def code(self):
        return self._code

    def details(self):
        return self._status.message

    def trailing_metadata(self):
        return ((DETAILS_KEY, self._status.SerializeToString()),)

    def initial_metadata(self):
        return ()

    def is_active(self):
        return False

    def time_remaining(self):
        return None

    def cancel(self):
        return False

    def add_callback(self, callback):
        return False


def told(error: Exception) -> tuple[str, int]:
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(typer.Exit) as left, told_to_people(console):
        raise error
    return console.file.getvalue(), left.value.exit_code


def test_the_next_step_of_a_service_reaches_the_person():
    error = FailedPrecondition("nothing has been computed yet", reason="X", next_step="Send it over OTLP.")
    text, code = told(Refused(error, grpc.StatusCode.FAILED_PRECONDITION))
    assert "nothing has been computed yet" in text
    assert "next: Send it over OTLP." in text
    assert code == EXIT_FAILED


def test_the_fields_of_a_bad_request_are_named():
    error = InvalidArgument(
        "bad", reason="X", violations=[FieldViolation("window.rolling_period", "too short")]
    )
    text, _ = told(Refused(error, grpc.StatusCode.INVALID_ARGUMENT))
    assert "window.rolling_period: too short" in text
    assert "next:" not in text
