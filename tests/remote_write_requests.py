"""Remote write requests by hand: labels as dicts, samples as pairs. Not a test file."""

import struct
from collections.abc import Sequence
from typing import Any

import cramjam

from prometheus.write.v1 import write_pb2 as v1
from prometheus.write.v2 import write_pb2 as v2

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
V1_TYPE = "application/x-protobuf;proto=prometheus.WriteRequest"
V2_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
TARGET = {"job": "shop/api", "instance": "10.0.0.1:9090"}


def snap(raw: bytes) -> bytes:
    """Compressed as Prometheus does it."""
    return bytes(cramjam.snappy.compress_raw(raw))


class V1:
    """A request of version 1.0 as it grows."""

    def __init__(self) -> None:
        self.message = v1.WriteRequest()

    def add(
        self,
        labels: dict[str, str] | Sequence[tuple[str, str]],
        *samples: tuple[float, int],
        exemplars: Sequence[tuple[dict[str, str], float, int]] = (),
    ) -> v1.TimeSeries:
        """One more series; labels in the order given."""
        series = self.message.timeseries.add()
        for name, value in labels.items() if isinstance(labels, dict) else labels:
            series.labels.add(name=name, value=value)
        for number, time_ms in samples:
            series.samples.add(value=number, timestamp=time_ms)
        for pairs, number, time_ms in exemplars:
            exemplar = series.exemplars.add(value=number, timestamp=time_ms)
            for name, value in pairs.items():
                exemplar.labels.add(name=name, value=value)
        return series

    def raw(self) -> bytes:
        """The bytes before compression."""
        return self.message.SerializeToString()


class V2:
    """A request of version 2.0 as it grows."""

    def __init__(self) -> None:
        self.message = v2.Request(symbols=[""])

    def ref(self, text: str) -> int:
        """The index of a string among the symbols."""
        if text not in self.message.symbols:
            self.message.symbols.append(text)
        return list(self.message.symbols).index(text)

    def refs(self, labels: dict[str, str]) -> list[int]:
        """Labels as indices of symbols."""
        return [self.ref(text) for pair in labels.items() for text in pair]

    def add(
        self,
        labels: dict[str, str],
        *samples: tuple[float, int] | tuple[float, int, int],
        kind: int = 0,
        unit: str = "",
        description: str = "",
        exemplars: Sequence[tuple[dict[str, str], float, int]] = (),
        created_ms: int = 0,
    ) -> v2.TimeSeries:
        """One more series; a sample may have a start time."""
        series = self.message.timeseries.add(labels_refs=self.refs(labels), created_timestamp=created_ms)
        series.metadata.type = v2.MetricType.Name(kind)
        series.metadata.unit_ref, series.metadata.help_ref = self.ref(unit), self.ref(description)
        for sample in samples:
            series.samples.add(
                value=sample[0], timestamp=sample[1], start_timestamp=sample[2] if len(sample) > 2 else 0
            )
        for pairs, number, time_ms in exemplars:
            series.exemplars.add(labels_refs=self.refs(pairs), value=number, timestamp=time_ms)
        return series

    def raw(self) -> bytes:
        """The bytes before compression."""
        return self.message.SerializeToString()


def add_native(series: Any, time_ms: int, *, schema: int = 0, **fields: Any) -> Any:
    """One more native histogram of a series, of either version; spans as pairs of offset and length."""
    histogram = series.histograms.add(timestamp=time_ms, schema=schema)
    for name, value in fields.items():
        if name.endswith("_spans"):
            for offset, length in value:
                getattr(histogram, name).add(offset=offset, length=length)
        elif isinstance(value, list):
            getattr(histogram, name).extend(value)
        else:
            setattr(histogram, name, value)
    return histogram


def classic(
    name: str, counts: Sequence[int], bounds: Sequence[float], time_ms: int, total: float = 1.5
) -> list[tuple[dict[str, str], float, int]]:
    """The samples of a classic histogram: labels, value, time; `counts` is for each bucket alone."""
    rows: list[tuple[dict[str, str], float, int]] = []
    running = 0
    for bound, count in zip([*map(repr, bounds), "+Inf"], counts, strict=True):
        running += count
        rows.append(({"__name__": f"{name}_bucket", **TARGET, "le": bound}, float(running), time_ms))
    rows.append(({"__name__": f"{name}_count", **TARGET}, float(running), time_ms))
    rows.append(({"__name__": f"{name}_sum", **TARGET}, total, time_ms))
    return rows
