"""How the command says that something went wrong: a sentence, the fields, what to do; no traceback.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 a figure is outside its promise, 69 a service is not
reachable, 77 not allowed (sysexits.h names for the last two).
"""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc
import typer
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rich.console import Console

from services.common.documents_errors import DocumentErrors
from services.common.errors import ThreeninesError, Unauthenticated, Unavailable

_M = TypeVar("_M", bound=Message)

EXIT_FAILED = 1
EXIT_OUTSIDE_PROMISE = 3
EXIT_UNAVAILABLE = 69
EXIT_NOT_ALLOWED = 77

_NOT_ALLOWED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


@contextlib.contextmanager
def told_to_people(console: Console) -> Iterator[None]:
    """Turn our errors and gRPC's into a message and an exit code."""
    try:
        yield
    except DocumentErrors as error:
        # Its message names every place already.
        _print(console, error.message, [], error.next_step)
        raise typer.Exit(EXIT_FAILED) from None
    except ThreeninesError as error:
        _print(console, error.message, [(v.field, v.reason) for v in error.violations], error.next_step)
        if isinstance(error, Unavailable):
            raise typer.Exit(EXIT_UNAVAILABLE) from None
        raise typer.Exit(EXIT_NOT_ALLOWED if isinstance(error, Unauthenticated) else EXIT_FAILED) from None
    except grpc.RpcError as error:
        raise typer.Exit(_print_rpc_error(console, error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _print(console: Console, message: str, violations: list[tuple[str, str]], next_step: str | None) -> None:
    console.print("[bold red]error:[/]", message, highlight=False, soft_wrap=True)
    for field, reason in violations:
        if reason != message:
            console.print(f"  [bold]{field}[/]: {reason}", highlight=False, soft_wrap=True)
    if next_step:
        console.print(f"  [dim]next:[/] {next_step}", highlight=False, soft_wrap=True)


def _print_rpc_error(console: Console, error: grpc.RpcError) -> int:
    call: Any = error  # every RpcError that a stub raises is also a grpc.Call; the stubs do not say so
    code = call.code()
    violations: list[tuple[str, str]] = []
    next_step: str | None = None
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        if bad := _unpack(detail, error_details_pb2.BadRequest):
            violations += [(v.field, v.description) for v in bad.field_violations]
        if step := _unpack(detail, error_details_pb2.LocalizedMessage):
            next_step = step.message
    if code == grpc.StatusCode.UNAVAILABLE and status is None:
        message = "the service does not answer"
        next_step = "start it with `threenines up`, or see `threenines status`"
    else:
        message = call.details() or code.name
    _print(console, message, violations, next_step)
    if code == grpc.StatusCode.UNAVAILABLE:
        return EXIT_UNAVAILABLE
    return EXIT_NOT_ALLOWED if code in _NOT_ALLOWED else EXIT_FAILED


def _unpack(detail: Any, kind: type[_M]) -> _M | None:
    message = kind()
    return message if detail.Unpack(message) else None
