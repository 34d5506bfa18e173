"""OTLP's JSON encoding of a metrics request, to the bytes of its protobuf twin.

OTLP/JSON is not quite protobuf's own JSON: names in lowerCamelCase only, enums as integers only,
trace and span ids in hexadecimal. The log keeps protobuf whatever came in, so a request is
converted once, here, and goes the same way as any other. Knows no transport.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import EncodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.errors import RequestTooLarge, Undecodable
from services.collector.otlp_json_values import READERS, Reader, read_hex

_HEX_FIELDS = frozenset({"traceId", "spanId"})
_MAX_DEPTH = 100
"""Protobuf's own limit: what is nested deeper could not be read back."""

_MOST_NODES = 4_000_000
"""Objects and arrays of one document. An empty one of three bytes takes more than fifty; those of telemetry
are twenty bytes and more, so that 64 MiB of it stay below this."""

_Setter = Callable[[Message, Any, "_Place"], None]


def request_from_json(body: bytes) -> bytes:
    """The protobuf bytes of the request that `body` holds as OTLP/JSON.

    Raises:
        Undecodable: not JSON, or a value that its field cannot take; names the JSON path.
        RequestTooLarge: REQUEST_TOO_MANY_POINTS, more objects than a request of telemetry has.
    """
    if len(body) > 2 * _MOST_NODES and body.count(b"{") + body.count(b"[") > _MOST_NODES:
        raise RequestTooLarge(
            f"the document has more than {_MOST_NODES} objects and arrays",
            reason="REQUEST_TOO_MANY_POINTS",
            next_step="send fewer points per request",
        )
    request = ExportMetricsServiceRequest()
    _fill(request, _loaded(body), _Place("$", 0))
    try:
        return request.SerializeToString(deterministic=True)
    except EncodeError as err:
        raise _undecodable("the request cannot be encoded", "$") from err


class _Place:
    """Where in the document a value stands; its path is spelt out only for an error."""

    __slots__ = ("_parent", "_step", "depth")

    def __init__(self, step: str | int, depth: int, parent: "_Place | None" = None) -> None:
        self._step = step
        self._parent = parent
        self.depth = depth

    def member(self, step: str | int) -> "_Place":
        """One level further down."""
        return _Place(step, self.depth, self)

    def message(self, step: str | int) -> "_Place":
        """One level further down, into a message: these count against the depth."""
        return _Place(step, self.depth + 1, self)

    @property
    def path(self) -> str:
        """Like `$.resourceMetrics[0].scopeMetrics`."""
        steps: list[str] = []
        place: _Place | None = self
        while place is not None:
            step = place._step
            steps.append(f"[{step}]" if isinstance(step, int) else step if step == "$" else f".{step}")
            place = place._parent
        return "".join(reversed(steps))

    def refuse(self, problem: str) -> NoReturn:
        """Raise Undecodable for this place."""
        raise _undecodable(problem, self.path)


def _undecodable(problem: str, path: str) -> Undecodable:
    return Undecodable(
        f"{path}: {problem}",
        field=path,
        reason="OTLP_JSON_UNDECODABLE",
        next_step="send OTLP/JSON as the specification describes it, or protobuf",
    )


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as err:
        raise _undecodable("the body is not UTF-8", "$") from err
    except RecursionError as err:
        raise _undecodable("the document is nested too deep", "$") from err
    except ValueError as err:  # JSONDecodeError, and integers of more digits than Python reads
        raise _undecodable(f"the body is not JSON: {err}", "$") from err


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} must be written as a string")


def _fill(message: Message, value: Any, place: _Place) -> None:
    if type(value) is not dict:
        place.refuse("must be an object")
    if place.depth > _MAX_DEPTH:
        place.refuse(f"is nested deeper than {_MAX_DEPTH} messages")
    setters = _setters(message.DESCRIPTOR)
    for name, member in value.items():
        setter = setters.get(name)
        if setter is not None and member is not None:
            setter(message, member, place)


@cache
def _setters(descriptor: Descriptor) -> dict[str, _Setter]:
    return {field.json_name: _setter(field) for field in descriptor.fields}


def _setter(field: FieldDescriptor) -> _Setter:
    if field.message_type is not None:
        return _message_list(field) if field.is_repeated else _one_message(field)
    read = read_hex if field.json_name in _HEX_FIELDS else READERS[field.type]
    return _scalar_list(field, read) if field.is_repeated else _one_scalar(field, read)


def _one_scalar(field: FieldDescriptor, read: Reader) -> _Setter:
    name, key = field.name, field.json_name
    check = _oneof_check(field)

    def assign(message: Message, value: Any, place: _Place) -> None:
        check(message, place)
        try:
            setattr(message, name, read(value))
        except ValueError as err:
            place.member(key).refuse(str(err))

    return assign


def _scalar_list(field: FieldDescriptor, read: Reader) -> _Setter:
    name, key = field.name, field.json_name

    def extend(message: Message, value: Any, place: _Place) -> None:
        if type(value) is not list:
            place.member(key).refuse("must be an array")
        try:
            getattr(message, name).extend([read(item) for item in value])
        except ValueError:
            _refuse_first(value, read, place.member(key))

    return extend


def _refuse_first(values: list[Any], read: Reader, place: _Place) -> NoReturn:
    for index, item in enumerate(values):
        try:
            read(item)
        except ValueError as err:
            place.member(index).refuse(str(err))
    raise AssertionError("one of the values was wrong a moment ago")


def _one_message(field: FieldDescriptor) -> _Setter:
    name, key = field.name, field.json_name
    check = _oneof_check(field)

    def assign(message: Message, value: Any, place: _Place) -> None:
        check(message, place)
        target = getattr(message, name)
        target.SetInParent()
        _fill(target, value, place.message(key))

    return assign


def _message_list(field: FieldDescriptor) -> _Setter:
    name, key = field.name, field.json_name

    def extend(message: Message, value: Any, place: _Place) -> None:
        if type(value) is not list:
            place.member(key).refuse("must be an array")
        target, here = getattr(message, name), place.member(key)
        for index, item in enumerate(value):
            _fill(target.add(), item, here.message(index))

    return extend


def _oneof_check(field: FieldDescriptor) -> Callable[[Message, _Place], None]:
    """Refuses a second member of one oneof: which of the two is meant cannot be known."""
    oneof = field.containing_oneof
    if oneof is None or len(oneof.fields) == 1:
        return lambda _message, _place: None
    group, key = oneof.name, field.json_name

    def check(message: Message, place: _Place) -> None:
        taken = message.WhichOneof(group)
        if taken is not None:
            other = message.DESCRIPTOR.fields_by_name[taken].json_name
            place.member(key).refuse(f"only one of {other} and {key} may be given")

    return check
