"""The lint rules of the contracts (buf's STANDARD and COMMENTS, and our own), over compiled descriptors.

It exists so that nobody needs buf. Each rule takes one file and yields complaints that start with
what they are about. It knows descriptors only, not which contracts there are.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
UNSIGNED = {
    FieldDescriptorProto.TYPE_UINT32,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_FIXED32,
    FieldDescriptorProto.TYPE_FIXED64,
}
# Field numbers inside FileDescriptorProto, DescriptorProto and so on: source locations are paths of them.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_SYNTAX = 4, 5, 6, 12
CHILD, MESSAGE_ONEOF = 2, 8

PAGE_FIELD_TYPES = {
    "page_size": FieldDescriptorProto.TYPE_INT32,
    "page_token": FieldDescriptorProto.TYPE_STRING,
    "next_page_token": FieldDescriptorProto.TYPE_STRING,
}


class Element(NamedTuple):
    """Something that needs a comment: its source path and its name."""

    path: tuple[int, ...]
    name: str


def upper_snake(name: str) -> str:
    """`SlaReportState` -> `SLA_REPORT_STATE`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def written_oneofs(message: DescriptorProto) -> Iterator[tuple[int, str]]:
    """Index and name of the oneofs that stand in the source; `optional` fields make hidden ones."""
    hidden = {field.oneof_index for field in message.field if field.proto3_optional}
    for index, oneof in enumerate(message.oneof_decl):
        if index not in hidden:
            yield index, oneof.name


def elements(file: FileDescriptorProto) -> Iterator[Element]:
    """Everything in `file` that must have a comment."""
    yield Element((FILE_SYNTAX,), file.name)
    for m, message in enumerate(file.message_type):
        yield Element((FILE_MESSAGE, m), message.name)
        for f, field in enumerate(message.field):
            yield Element((FILE_MESSAGE, m, CHILD, f), f"{message.name}.{field.name}")
        for o, name in written_oneofs(message):
            yield Element((FILE_MESSAGE, m, MESSAGE_ONEOF, o), f"{message.name}.{name}")
    for e, enum in enumerate(file.enum_type):
        yield Element((FILE_ENUM, e), enum.name)
        for v, value in enumerate(enum.value):
            yield Element((FILE_ENUM, e, CHILD, v), f"{enum.name}.{value.name}")
    for s, service in enumerate(file.service):
        yield Element((FILE_SERVICE, s), service.name)
        for r, rpc in enumerate(service.method):
            yield Element((FILE_SERVICE, s, CHILD, r), f"{service.name}.{rpc.name}")


def everything_has_a_comment(file: FileDescriptorProto) -> Iterator[str]:
    """COMMENTS: a leading comment; buf does not count trailing ones."""
    comments = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}
    for element in elements(file):
        if not comments.get(element.path):
            yield f"{element.name}: no comment above it"


def package_is_directory_with_version(file: FileDescriptorProto) -> Iterator[str]:
    """PACKAGE_DIRECTORY_MATCH, PACKAGE_VERSION_SUFFIX, FILE_LOWER_SNAKE_CASE."""
    path = PurePosixPath(file.name)
    if ".".join(path.parent.parts) != file.package:
        yield f"{file.name}: package {file.package} is not its directory"
    if not re.fullmatch(r"threenines(\.[a-z]+)+\.v[1-9][0-9]*", file.package):
        yield f"{file.name}: package {file.package} does not end in a version"
    if not SNAKE.fullmatch(path.stem) or re.fullmatch(r"v[0-9]+", path.stem):
        yield f"{file.name}: file name is not snake_case"


def messages_and_fields_are_named_right(file: FileDescriptorProto) -> Iterator[str]:
    """MESSAGE_PASCAL_CASE, FIELD_LOWER_SNAKE_CASE, ONEOF_LOWER_SNAKE_CASE; times end in `_time` (AIP-142)."""
    for message in file.message_type:
        if not PASCAL.fullmatch(message.name):
            yield f"{message.name}: message is not PascalCase"
        names = [field.name for field in message.field] + [name for _, name in written_oneofs(message)]
        for name in names:
            if not SNAKE.fullmatch(name):
                yield f"{message.name}.{name}: not snake_case"
        for field in message.field:
            if (field.type_name == ".google.protobuf.Timestamp") != field.name.endswith("_time"):
                yield f"{message.name}.{field.name}: Timestamps, and only they, end in _time"
        if any(field.name == "name" and field.number != 1 for field in message.field):
            yield f"{message.name}.name: is not field 1"


def integers_are_signed(file: FileDescriptorProto) -> Iterator[str]:
    """AIP-141."""
    for message in file.message_type:
        for field in message.field:
            if field.type in UNSIGNED:
                yield f"{message.name}.{field.name}: unsigned integer"


def nothing_is_nested(file: FileDescriptorProto) -> Iterator[str]:
    """Enums (and so their prefixes) and messages stand at the top level; map entries are protoc's own."""
    for message in file.message_type:
        for enum in message.enum_type:
            yield f"{message.name}.{enum.name}: nested enum"
        for nested in message.nested_type:
            if not nested.options.map_entry:
                yield f"{message.name}.{nested.name}: nested message"


def enums_are_prefixed_and_start_unspecified(file: FileDescriptorProto) -> Iterator[str]:
    """ENUM_PASCAL_CASE, _VALUE_PREFIX, _FIRST_VALUE_ZERO, _ZERO_VALUE_SUFFIX, _NO_ALLOW_ALIAS."""
    for enum in file.enum_type:
        yield from _enum_complaints(enum)


def _enum_complaints(enum: EnumDescriptorProto) -> Iterator[str]:
    prefix = upper_snake(enum.name) + "_"
    if not PASCAL.fullmatch(enum.name):
        yield f"{enum.name}: enum is not PascalCase"
    if enum.options.allow_alias:
        yield f"{enum.name}: aliases"
    first = enum.value[0]
    if (first.name, first.number) != (f"{prefix}UNSPECIFIED", 0):
        yield f"{enum.name}: first value is {first.name} = {first.number}, not {prefix}UNSPECIFIED = 0"
    for value in enum.value:
        if not re.fullmatch(rf"{prefix}[A-Z][A-Z0-9_]*", value.name):
            yield f"{enum.name}.{value.name}: not UPPER_SNAKE with prefix {prefix}"


def services_and_methods_are_named_right(file: FileDescriptorProto) -> Iterator[str]:
    """SERVICE_SUFFIX, one service a file, RPC_PASCAL_CASE, RPC_REQUEST_STANDARD_NAME, what RPCs return."""
    if len(file.service) != (1 if file.name.endswith("_service.proto") else 0):
        yield f"{file.name}: {len(file.service)} services; a *_service.proto has one, others none"
    own = {f".{file.package}.{message.name}" for message in file.message_type}
    for service in file.service:
        if not (PASCAL.fullmatch(service.name) and service.name.endswith("Service")):
            yield f"{service.name}: service does not end in Service"
        for rpc in service.method:
            where = f"{service.name}.{rpc.name}"
            if not PASCAL.fullmatch(rpc.name):
                yield f"{where}: RPC is not PascalCase"
            if rpc.input_type != f".{file.package}.{rpc.name}Request":
                yield f"{where}: request is {rpc.input_type}"
            if rpc.client_streaming or rpc.server_streaming != rpc.name.startswith("Watch"):
                yield f"{where}: only Watch streams, and only to the client"
            empty = rpc.output_type == ".google.protobuf.Empty"
            if empty != rpc.name.startswith("Delete"):
                yield f"{where}: Delete, and only it, returns Empty"
            elif not empty and rpc.output_type != f".{file.package}.{rpc.name}Response":
                in_package = rpc.output_type.startswith(f".{file.package}.")
                if not in_package or rpc.output_type in own or rpc.output_type.endswith("Response"):
                    yield f"{where}: returns {rpc.output_type}, neither its response nor a resource"


def requests_follow_the_order_of_methods(file: FileDescriptorProto) -> Iterator[str]:
    """Every request and response belongs to a method, and they come in the order of the methods."""
    for service in file.service:
        wanted = [f"{rpc.name}{suffix}" for rpc in service.method for suffix in ("Request", "Response")]
        written = [m.name for m in file.message_type if m.name.endswith(("Request", "Response"))]
        for name in set(written) - set(wanted):
            yield f"{name}: belongs to no method"
        if written != [name for name in wanted if name in written]:
            yield f"{service.name}: requests and responses are not in the order of the methods"


def lists_have_pages(file: FileDescriptorProto) -> Iterator[str]:
    """AIP-158: List and Query have page_size, page_token, next_page_token; nothing has only some of them."""
    messages = {message.name: {f.name: f for f in message.field} for message in file.message_type}
    for service in file.service:
        for rpc in service.method:
            request = messages.get(f"{rpc.name}Request", {})
            response = messages.get(f"{rpc.name}Response", {})
            fields = {name: request.get(name) for name in ("page_size", "page_token")}
            fields["next_page_token"] = response.get("next_page_token")
            where = f"{service.name}.{rpc.name}"
            if not rpc.name.startswith(("List", "Query")):
                if any(fields.values()):
                    yield f"{where}: has pages but is no List or Query"
                continue
            for name, field in fields.items():
                if field is None or field.type != PAGE_FIELD_TYPES[name]:
                    yield f"{where}: {name} is missing or of the wrong type"
            if not response or next(iter(response.values())).label != FieldDescriptorProto.LABEL_REPEATED:
                yield f"{where}: the first field of its response is not repeated"


Rule = Callable[[FileDescriptorProto], Iterator[str]]
RULES: tuple[Rule, ...] = (
    everything_has_a_comment,
    package_is_directory_with_version,
    messages_and_fields_are_named_right,
    integers_are_signed,
    nothing_is_nested,
    enums_are_prefixed_and_start_unspecified,
    services_and_methods_are_named_right,
    requests_follow_the_order_of_methods,
    lists_have_pages,
)
