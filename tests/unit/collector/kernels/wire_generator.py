"""Requests as no SDK writes them: every liberty that protobuf's wire format allows, and then damage.

`WireGenerator.request` walks the descriptors of OTLP and writes each message with its fields in any
order, singular ones repeated, sub-messages split, lists packed or not, varints longer than need be,
fields nobody knows, groups, wrong wire types, odd strings. `mutate` damages the bytes.
"""

import random
import struct
from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

_FIXED64 = {FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64, FieldDescriptor.TYPE_DOUBLE}
_TEXTS = ("", "a", "service.name", "http.request.method", "GET", "ünïcødé", "日本語", "x" * 130, "🜁", "key")
_KEYS = ("a", "b", "service.name", "http.request.method", "ключ", "a-key-of-more-than-sixteen-bytes", "")
_BAD_TEXTS = (
    b"\xc3",
    b"\xff",
    b"ab\x80",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"abcdefgh\xe2\x82",
)
_WORDS = (0, 1, 2**63 - 1, 2**63, 2**64 - 1, 1_700_000_000_000_000_000)
_DOUBLES = (0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, -273.15)
_NANS = (0x7FF8000000000000, 0x7FF0000000000001, 0xFFF8000000ABCDEF, 0x7FF4000000000000)
_SPINE = {"resource_metrics", "scope_metrics", "metrics", "data_points"}
_INTERESTING = b"\x00\x01\x07\x08\x0a\x0b\x0c\x0f\x12\x1a\x2a\x3a\x4a\x52\x5a\x7f\x80\x83\x84\xc0\xff"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class WireGenerator:
    """Requests from a seed. `liberty` in [0, 1] is how far from an SDK's way of writing they are."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.liberty = 0.1

    def request(self) -> bytes:
        self.liberty = self.random.choice((0.0, 0.01, 0.03, 0.1))
        return self._message(ExportMetricsServiceRequest.DESCRIPTOR, 0)

    def _message(self, descriptor: Descriptor, level: int) -> bytes:
        rng = self.random
        parts: list[bytes] = []
        chosen = {
            oneof.name: rng.choice(oneof.fields).number
            for oneof in descriptor.oneofs
            if len(oneof.fields) > 1
        }
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if oneof is not None and len(oneof.fields) > 1:
                if chosen[oneof.name] != field.number and not self._odd():
                    continue
            elif rng.random() < 0.15 and field.name not in _SPINE:
                continue
            parts.extend(self._field(field, level))
        if self._odd():
            parts.append(self._unknown(level))
        if rng.random() < 0.5 + self.liberty:
            rng.shuffle(parts)
        return b"".join(parts)

    def _odd(self) -> bool:
        return self.random.random() < self.liberty

    def _field(self, field: FieldDescriptor, level: int) -> list[bytes]:
        rng = self.random
        if self._odd() and rng.random() < 0.3:
            return [self._foreign(field.number)]
        if field.message_type is not None:
            return self._messages(field, level)
        repeats = (rng.choice((0, 1, 2, 3, 9)) if field.is_repeated else 1) + self._odd()
        if field.is_repeated and field.type != FieldDescriptor.TYPE_STRING and not self._odd():
            cuts = 1 + self._odd()
            return [
                self._tag(field.number, 2)
                + self._sized(b"".join(self._scalar(field)[1] for _ in range(repeats)))
                for _ in range(cuts)
            ]
        return [self._tag(field.number, wire) + value for wire, value in map(self._scalar, [field] * repeats)]

    def _messages(self, field: FieldDescriptor, level: int) -> list[bytes]:
        rng = self.random
        kind = field.message_type.name
        if field.is_repeated:
            repeats = rng.choice((0, 1, 1, 2, 3)) if level > 4 else rng.choice((1, 1, 1, 2))
        else:
            repeats = 1 + self._odd()
        if kind == "EntityRef" and rng.random() < 0.7:
            repeats = 0
        if kind in {"AnyValue", "ArrayValue", "KeyValueList"} and level > 10:
            repeats = 0 if rng.random() < 0.9 else repeats
        if kind == "Exemplar" and rng.random() < 0.5:
            repeats = 0
        if kind == "ArrayValue" and rng.random() < 0.02:
            return [self._tag(field.number, 2) + self._sized(self._deep())]
        return [
            self._tag(field.number, 2) + self._sized(self._message(field.message_type, level + 1))
            for _ in range(repeats)
        ]

    def _deep(self) -> bytes:
        """Arrays in arrays (or groups in groups), about as deep as protobuf allows."""
        levels = self.random.randrange(78, 96)
        if self.random.random() < 0.3:
            return self._tag(15, 3) * levels + self._tag(15, 4) * levels
        inner = b""
        for level in range(levels):
            inner = (b"\x2a" if level % 2 else b"\x0a") + varint(len(inner)) + inner
        return inner

    def _scalar(self, field: FieldDescriptor) -> tuple[int, bytes]:
        rng = self.random
        if field.type == FieldDescriptor.TYPE_STRING:
            if rng.random() < self.liberty / 40:
                return 2, self._sized(rng.choice(_BAD_TEXTS))
            texts = _KEYS if field.name == "key" else _TEXTS
            return 2, self._sized(rng.choice(texts).encode())
        if field.type == FieldDescriptor.TYPE_BYTES:
            return 2, self._sized(rng.randbytes(rng.choice((0, 8, 16, 3))))
        if field.type == FieldDescriptor.TYPE_DOUBLE and rng.random() < 0.9:
            return 1, struct.pack("<d", rng.choice(_DOUBLES))
        if field.type in _FIXED64:
            return 1, struct.pack("<Q", rng.choice((*_WORDS, *_NANS)))
        return 0, self._varint(rng.choice((0, 1, 1, 2, 2, 3, 127, 128, 2**31, 2**32 + 1, 2**63, 2**64 - 1)))

    def _foreign(self, number: int) -> bytes:
        """A known field with another wire type; now and then with a value that does not fit."""
        rng = self.random
        wire = rng.choice((0, 1, 5))
        value = {0: self._varint(rng.getrandbits(60)), 1: rng.randbytes(8), 5: rng.randbytes(4)}[wire]
        return self._tag(number, wire) + (value if rng.random() < 0.9 else rng.randbytes(rng.randrange(10)))

    def _unknown(self, level: int) -> bytes:
        rng = self.random
        number = rng.choice((13, 15, 16, 99, 1000, 2**29 - 1, 4, 6, 8))
        wire = rng.choice((0, 1, 2, 3, 5)) if rng.random() > 0.02 else rng.choice((4, 6, 7))
        if wire == 3:
            inner = self._unknown(level + 1) if level < 12 and rng.random() < 0.5 else b""
            return self._tag(number, 3) + inner + self._tag(number if rng.random() < 0.95 else 14, 4)
        values = {0: self._varint(rng.getrandbits(64)), 1: rng.randbytes(8), 5: rng.randbytes(4)}
        return self._tag(number, wire) + values.get(wire, self._sized(rng.randbytes(rng.randrange(4))))

    def _tag(self, number: int, wire: int) -> bytes:
        return self._varint(number << 3 | wire, 5)

    def _sized(self, payload: bytes) -> bytes:
        return self._varint(len(payload), 5) + payload

    def _varint(self, value: int, longest: int = 10) -> bytes:
        short = varint(value)
        if not self._odd() or self.random.random() < 0.7 or len(short) >= longest:
            return short
        more = self.random.randrange(1, longest - len(short) + 1 + (self.random.random() < 0.03))
        return short[:-1] + bytes([short[-1] | 0x80]) + b"\x80" * (more - 1) + b"\x00"


def mutate(raw: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """One to three damages: flipped bits, cuts, edited lengths, pieces of other requests."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not data:
            return bytes(data)
        at = rng.randrange(len(data))
        match rng.randrange(8):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice(_INTERESTING)
            case 2:
                del data[at:]
            case 3:
                data[at] = (data[at] + rng.choice((-2, -1, 1, 2))) & 0xFF
            case 4:
                del data[at : at + rng.randrange(1, 9)]
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(1, 4))
            case 6:
                end = at + rng.randrange(1, 64)
                data[at:at] = data[at:end]
            case _:
                other = rng.choice(others) if others else b""
                start = rng.randrange(len(other) + 1)
                data[at : at + rng.randrange(0, 40)] = other[start : start + rng.randrange(0, 60)]
    return bytes(data)
