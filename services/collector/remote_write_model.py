"""What a remote write request holds, whichever version it came in.

Both versions say the same with other messages: series with labels, numbers, native histograms and
exemplars. Knows no protobuf, no OTLP and no transport.
"""

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, each name once, no empty values."""

METRIC_NAME = "__name__"

_STALE = struct.pack("<Q", 0x7FF0000000000002)


class FamilyType(IntEnum):
    """Type of a metric family, with the codes of the wire."""

    UNSPECIFIED = 0
    COUNTER = 1
    GAUGE = 2
    HISTOGRAM = 3
    GAUGEHISTOGRAM = 4
    SUMMARY = 5
    INFO = 6
    STATESET = 7


class Loss(StrEnum):
    """Why something of a request cannot be taken, however often it is sent."""

    METRIC_NAME_MISSING = "METRIC_NAME_MISSING"
    LABEL_NAME_EMPTY = "LABEL_NAME_EMPTY"
    LABEL_REPEATED = "LABEL_REPEATED"
    LABELS_TOO_MANY = "LABELS_TOO_MANY"
    SYMBOL_UNKNOWN = "SYMBOL_UNKNOWN"
    """A reference leads past the end of the symbols, or a name has no value."""
    SERIES_EMPTY = "SERIES_EMPTY"
    """Version 2.0: neither samples nor histograms."""
    SERIES_MIXED = "SERIES_MIXED"
    """Version 2.0: both samples and histograms."""
    NATIVE_HISTOGRAM_INVALID = "NATIVE_HISTOGRAM_INVALID"
    """Spans, counts and bounds contradict each other."""
    NATIVE_HISTOGRAM_SCHEMA = "NATIVE_HISTOGRAM_SCHEMA"
    NATIVE_HISTOGRAM_FRACTIONAL = "NATIVE_HISTOGRAM_FRACTIONAL"
    """Counts that are no whole numbers: OTLP has none of these."""
    NATIVE_HISTOGRAM_GAUGE = "NATIVE_HISTOGRAM_GAUGE"
    """Buckets that go down again: OTLP has none of these."""
    EXEMPLAR_WITHOUT_SAMPLE = "EXEMPLAR_WITHOUT_SAMPLE"
    """An exemplar belongs to a data point in OTLP, and the request has none of its series."""


@dataclass(frozen=True, slots=True)
class Elements:
    """How much of a request: the three kinds of things that version 2.0 counts."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    def __add__(self, other: "Elements") -> "Elements":
        return Elements(
            self.samples + other.samples,
            self.histograms + other.histograms,
            self.exemplars + other.exemplars,
        )

    @property
    def points(self) -> int:
        """Samples and histograms."""
        return self.samples + self.histograms


@dataclass(frozen=True, slots=True)
class Example:
    """An exemplar."""

    labels: Labels
    value: float
    time_ms: int


@dataclass(slots=True)
class Number:
    """A float sample."""

    value: float
    time_ms: int
    start_ms: int = 0
    """When counting began; 0: not known."""
    examples: list[Example] = field(default_factory=list)
    taken: bool = False
    """It became part of a histogram."""


@dataclass(slots=True)
class Native:
    """A native histogram sample; `message` is of either version, whose histograms are alike."""

    message: Any
    time_ms: int
    start_ms: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Series:
    """Everything that a request holds of one label set."""

    labels: Labels
    family: FamilyType = FamilyType.UNSPECIFIED
    unit: str = ""
    help: str = ""
    numbers: list[Number] = field(default_factory=list)
    natives: list[Native] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The metric's name."""
        return next(value for key, value in self.labels if key == METRIC_NAME)


class Losses:
    """What could not be taken, by reason."""

    def __init__(self) -> None:
        self._by_reason: dict[Loss, Elements] = {}

    def add(self, reason: Loss, elements: Elements) -> None:
        """Count elements that are lost."""
        self._by_reason[reason] = self._by_reason.get(reason, Elements()) + elements

    def by_reason(self) -> Mapping[Loss, Elements]:
        """All of them."""
        return self._by_reason


def is_stale(value: float) -> bool:
    """Whether a value is the NaN that ends a series; other NaNs are values."""
    return math.isnan(value) and struct.pack("<d", value) == _STALE


def checked_labels(pairs: Iterable[tuple[str, str]], *, named: bool) -> Labels | Loss:
    """Labels in order, without empty values (as Prometheus, where empty is absent); or why not.

    Order is taken as it comes, because the identity of a series does not depend on it.

    Args:
        pairs: as received.
        named: whether a metric name must be among them.
    """
    labels = sorted(pairs)
    for (name, _), (following, _) in pairwise(labels):
        if name == following:
            return Loss.LABEL_REPEATED
    if labels and not labels[0][0]:
        return Loss.LABEL_NAME_EMPTY
    kept = tuple(pair for pair in labels if pair[1])
    if named and not any(name == METRIC_NAME for name, _ in kept):
        return Loss.METRIC_NAME_MISSING
    return kept
