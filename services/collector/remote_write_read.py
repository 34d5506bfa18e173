"""Remote write's two messages, read into one model.

A request that is no message at all is refused as a whole; a series that breaks the rules is left
out and counted, and the others go on. Knows no OTLP and no transport.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from google.protobuf.message import DecodeError

from prometheus.write.v1 import write_pb2 as v1
from prometheus.write.v2 import write_pb2 as v2
from services.collector.errors import RequestTooLarge, Undecodable
from services.collector.remote_write_model import (
    Elements,
    Example,
    FamilyType,
    Labels,
    Loss,
    Losses,
    Native,
    Number,
    Series,
    checked_labels,
)

_FAMILIES: dict[int, FamilyType] = {each.value: each for each in FamilyType}

_MAX_ELEMENTS = 100_000
"""Of one request: series, samples, histograms and exemplars; Prometheus sends 500 to 10 000 samples."""
_MAX_LABELS = 1000
"""Of one series. Both keep small: two bytes of a message can stand for hundreds of bytes of objects."""


class Version(StrEnum):
    """The message of a request, by the name that its Content-Type has for it."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A request: its series, each label set once, in order of appearance, and what was left out."""

    series: list[Series]
    sent: Elements
    losses: Losses


def read_request(version: Version, raw: bytes) -> WriteRequest:
    """Read the bytes of a message.

    Raises:
        Undecodable: they are no message of that version.
        RequestTooLarge: more elements than one request may have.
    """
    message = v1.WriteRequest() if version is Version.V1 else v2.Request()
    try:
        message.ParseFromString(raw)
    except DecodeError as err:
        raise _undecodable(f"the body is no {version}") from err
    reader = _Reader()
    if isinstance(message, v1.WriteRequest):
        _read_v1(message, reader, empty=not raw)
    else:
        _read_v2(message, reader, empty=not raw)
    _place_examples(reader)
    return WriteRequest(list(reader.series.values()), reader.sent, reader.losses)


class _Reader:
    def __init__(self) -> None:
        self.series: dict[Labels, Series] = {}
        self.sent = Elements()
        self.losses = Losses()
        self._elements = 0

    def count(self, elements: Elements) -> None:
        """Count one more series with its elements.

        Raises:
            RequestTooLarge.
        """
        self.sent += elements
        self._elements += 1 + elements.points + elements.exemplars
        if self._elements > _MAX_ELEMENTS:
            raise RequestTooLarge(
                f"the request has more than {_MAX_ELEMENTS} series, samples, histograms and exemplars",
                next_step="set max_samples_per_send to 10000 or less",
            )

    def open(self, labels: Labels) -> Series:
        """The one series with these labels: senders may cut it into pieces, down to single samples."""
        found = self.series.get(labels)
        if found is None:
            found = self.series[labels] = Series(labels)
        return found

    def example(self, series: Series, labels: Labels | Loss, message: Any) -> None:
        if isinstance(labels, Loss):
            self.losses.add(labels, Elements(exemplars=1))
        else:
            series.examples.append(Example(labels, message.value, message.timestamp))


def _read_v1(message: v1.WriteRequest, reader: _Reader, *, empty: bool) -> None:
    # Metadata comes in requests of its own, now and then: a type that depended on it would make two
    # series out of one. So version 1.0 goes by names alone.
    if not empty and not message.timeseries and not message.metadata:
        raise _undecodable(f"the body holds nothing of a {Version.V1}")
    for one in message.timeseries:
        elements = Elements(len(one.samples), len(one.histograms), len(one.exemplars))
        reader.count(elements)
        labels = _labels_v1(one.labels, named=True)
        if isinstance(labels, Loss):
            reader.losses.add(labels, elements)
            continue
        series = reader.open(labels)
        series.numbers += [Number(sample.value, sample.timestamp) for sample in one.samples]
        series.natives += [Native(each, each.timestamp) for each in one.histograms]
        for each in one.exemplars:
            reader.example(series, _labels_v1(each.labels, named=False), each)


def _labels_v1(labels: Sequence[v1.Label], *, named: bool) -> Labels | Loss:
    if len(labels) > _MAX_LABELS:
        return Loss.LABELS_TOO_MANY
    return checked_labels([(pair.name, pair.value) for pair in labels], named=named)


def _read_v2(message: v2.Request, reader: _Reader, *, empty: bool) -> None:
    if not empty and not message.timeseries and not message.symbols:
        raise _undecodable(f"the body holds nothing of a {Version.V2}")
    symbols = list(message.symbols)
    if symbols and symbols[0]:
        raise _undecodable("the first of the symbols is not the empty string")
    for one in message.timeseries:
        elements = Elements(len(one.samples), len(one.histograms), len(one.exemplars))
        reader.count(elements)
        labels = _wrong_contents(elements) or _labels_v2(one, symbols)
        if isinstance(labels, Loss):
            reader.losses.add(labels, elements)
            continue
        series = reader.open(labels)
        _describe(series, one.metadata, symbols)
        created = one.created_timestamp
        series.numbers += [
            Number(sample.value, sample.timestamp, sample.start_timestamp or created)
            for sample in one.samples
        ]
        series.natives += [
            Native(each, each.timestamp, each.start_timestamp or created) for each in one.histograms
        ]
        for each in one.exemplars:
            reader.example(series, _referred(each.labels_refs, symbols, named=False), each)


def _wrong_contents(elements: Elements) -> Loss | None:
    if elements.samples and elements.histograms:
        return Loss.SERIES_MIXED
    if not elements.points and not elements.exemplars:
        return Loss.SERIES_EMPTY
    return None


def _labels_v2(one: v2.TimeSeries, symbols: list[str]) -> Labels | Loss:
    if max(one.metadata.help_ref, one.metadata.unit_ref) >= max(1, len(symbols)):
        return Loss.SYMBOL_UNKNOWN
    return _referred(one.labels_refs, symbols, named=True)


def _referred(refs: Sequence[int], symbols: list[str], *, named: bool) -> Labels | Loss:
    if len(refs) > 2 * _MAX_LABELS:
        return Loss.LABELS_TOO_MANY
    if len(refs) % 2:
        return Loss.SYMBOL_UNKNOWN
    try:
        strings = [symbols[ref] for ref in refs]
    except IndexError:
        return Loss.SYMBOL_UNKNOWN
    return checked_labels(zip(strings[::2], strings[1::2], strict=True), named=named)


def _describe(series: Series, metadata: v2.Metadata, symbols: list[str]) -> None:
    """Take what the first piece of a series says about it; types that are not known yet count as none."""
    if series.family is FamilyType.UNSPECIFIED:
        series.family = _FAMILIES.get(metadata.type, FamilyType.UNSPECIFIED)
    series.unit = series.unit or (symbols[metadata.unit_ref] if metadata.unit_ref else "")
    series.help = series.help or (symbols[metadata.help_ref] if metadata.help_ref else "")


def _place_examples(reader: _Reader) -> None:
    """Give each exemplar to the first sample not older than it, else to the last; OTLP keeps them there."""
    for series in reader.series.values():
        samples: Sequence[Number | Native] = series.natives or series.numbers
        for example in series.examples:
            if not samples:
                reader.losses.add(Loss.EXEMPLAR_WITHOUT_SAMPLE, Elements(exemplars=1))
                continue
            after = (one for one in samples if one.time_ms >= example.time_ms)
            next(after, samples[-1]).examples.append(example)


def _undecodable(problem: str) -> Undecodable:
    return Undecodable(
        problem,
        field="body",
        reason="REMOTE_WRITE_UNDECODABLE",
        next_step="set the parameter proto of Content-Type to the message that is sent",
    )
