"""Compares the kernels with protobuf's own parser and a walk over its messages, case by case."""

import dataclasses
import random
from collections.abc import Iterator

import numpy as np

from services.collector.columns import Decoded
from services.collector.decode import Decoder
from services.collector.errors import Undecodable
from tests.unit.collector.kernels.wire_generator import WireGenerator, mutate


def cases(seed: int, count: int) -> Iterator[bytes]:
    """Generated requests, each followed by damaged versions of it and its predecessors."""
    generator = WireGenerator(seed)
    rng = random.Random(seed + 1)
    recent: list[bytes] = []
    made = 0
    while made < count:
        raw = generator.request()
        recent = [*recent[-7:], raw]
        yield raw
        damaged = rng.choice((0, 1, 3, 6))
        for _ in range(damaged):
            yield mutate(rng.choice(recent), recent, rng)
        made += 1 + damaged


def found(decoder: Decoder, raw: bytes, rng: random.Random) -> Decoded | None:
    """What the kernels make of it, with bytes around it that belong to nobody; None: refused."""
    before = rng.randrange(0, 24)
    guarded = np.frombuffer(rng.randbytes(before) + raw + rng.randbytes(24), np.uint8)
    try:
        return decoder.decode_array(raw, guarded[before : before + len(raw)])
    except Undecodable:
        return None


def differences(one: object, other: object, path: str = "") -> list[str]:
    """Where two decoded requests differ: types, lengths, or any bit of a value."""
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        fields = dataclasses.fields(one)
        return [
            line
            for field in fields
            for line in differences(
                getattr(one, field.name), getattr(other, field.name), f"{path}.{field.name}"
            )
        ]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        same = one.dtype == other.dtype and one.tobytes() == other.tobytes()
    else:
        same = type(one) is type(other) and one == other
    return [] if same else [f"{path}: {one!r} is not {other!r}"]
