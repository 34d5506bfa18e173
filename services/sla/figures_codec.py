"""Figures as bytes for a cache, and back: exact, and without pickle, as others may write to the cache too.

Objectives are not in the bytes: the reader has the terms, and names them by the version of the contract.
A change of the dataclasses changes `FORMAT` through their fields, so that a new release reads no old bytes.
"""

import dataclasses
import hashlib
import json
import types
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from typing import Any, Union, get_args, get_origin, get_type_hints

from services.sla.figures_model import Latency, Uptime
from services.sla.model import Objective

_KINDS: dict[str, type] = {"uptime": Uptime, "latency": Latency}
_known: dict[Any, tuple[tuple[str, Any], ...]] = {}


def to_bytes(figures: Uptime | Latency) -> bytes:
    """The figures without their terms."""
    kind = next(name for name, type_ in _KINDS.items() if isinstance(figures, type_))
    return json.dumps([kind, _plain(figures)], separators=(",", ":")).encode()


def from_bytes(data: bytes, versions: Mapping[int, Objective]) -> Uptime | Latency:
    """The figures again.

    Args:
        data: what `to_bytes` gave.
        versions: the objective by version of its contract.

    Raises:
        ValueError, KeyError, TypeError: not such bytes.
    """
    kind, value = json.loads(data)
    found: Uptime | Latency = _typed(_KINDS[kind], value, versions)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Objective):
        return value.contract_version
    if isinstance(value, Fraction):
        return [value.numerator, value.denominator]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if dataclasses.is_dataclass(value):
        return [_plain(getattr(value, name)) for name, _ in _fields(type(value))]
    return value


def _typed(wanted: Any, value: Any, versions: Mapping[int, Objective]) -> Any:
    if wanted is Objective:
        return versions[value]
    if wanted is Fraction:
        return Fraction(value[0], value[1])
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _typed(next(one for one in inner if one is not type(None)), value, versions)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return tuple(_typed(inner[0], one, versions) for one in value)
        return tuple(_typed(one, part, versions) for one, part in zip(inner, value, strict=True))
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(value)
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        parts = zip(_fields(wanted), value, strict=True)
        return wanted(**{name: _typed(hint, part, versions) for (name, hint), part in parts})
    if not isinstance(value, wanted) and not (wanted is float and isinstance(value, int)):
        raise TypeError(f"{value!r} is no {wanted}")
    return value


def _fields(type_: Any) -> tuple[tuple[str, Any], ...]:
    found = _known.get(type_)
    if found is None:
        hints = get_type_hints(type_)
        found = _known[type_] = tuple((one.name, hints[one.name]) for one in dataclasses.fields(type_))
    return found


def _shape(type_: Any, seen: set[Any]) -> str:
    if type_ is Objective or type_ in seen:
        return str(type_)
    seen.add(type_)
    parts = "".join(_shape(one, seen) for one in get_args(type_))
    if dataclasses.is_dataclass(type_) and isinstance(type_, type):
        parts += "".join(f"{name}:{_shape(hint, seen)}," for name, hint in _fields(type_))
    return f"{type_}({parts})"


FORMAT = hashlib.sha256("".join(_shape(one, set()) for one in _KINDS.values()).encode()).hexdigest()[:16]
"""Which dataclasses the bytes stand for."""
