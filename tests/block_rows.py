"""Blocks of the in-memory store, in the same form as the ledger of `otlp_requests.py`."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from services.collector.ports import TableBlock
from services.common.native_columns import Arrays, CodedStrings, Nullable
from tests.otlp_requests import TABLES, plain_attributes

_COMMON = ("tenant", "metric_id", "series_id", "ts", "start", "flags", "bits", "batch", "keep_days")


def block_rows(blocks: Iterable[TableBlock]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows by table of the ledger."""
    blocks = list(blocks)
    series = {}
    for block in blocks:
        if block.table == "series":
            names = ("tenant", "metric_id", "series_id", "identity")
            columns = {one.name: values(one.data) for one in block.columns if one.name in names}
            for *place, identity in zip(*(columns[name] for name in names), strict=True):
                series[tuple(place)] = _identity(identity)
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    for block in blocks:
        if block.table != "series":
            rows[block.table] += _rows(block, series)
    return rows


def values(column: Any) -> list[Any]:
    """The values of a column, one per row."""
    if isinstance(column, CodedStrings):
        return [column.values[code] for code in column.codes.tolist()]
    if isinstance(column, Nullable):
        pairs = zip(column.values.tolist(), column.nulls.tolist(), strict=True)
        return [None if null else value for value, null in pairs]
    if isinstance(column, Arrays):
        assert isinstance(column.values, np.ndarray)
        ends = [0, *column.ends.tolist()]
        return [tuple(column.values[a:b].tolist()) for a, b in pairwise(ends)]
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _rows(block: TableBlock, series: dict[tuple[Any, ...], tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    columns = {one.name: values(one.data) for one in block.columns if one.name != "filtered_texts"}
    if block.table == "exemplars":
        columns["filtered_attributes"] = [
            plain_attributes(KeyValueList.FromString(raw).values) for raw in columns["filtered_attributes"]
        ]
    heads = zip(columns["tenant"], columns["metric_id"], columns["series_id"], strict=True)
    rest = ["ts", "start", "flags", "bits", *(name for name in columns if name not in _COMMON)]
    tails = zip(*(columns[name] for name in rest), strict=True)
    return [(head[0], *series[head], *tail) for head, tail in zip(heads, tails, strict=True)]


def _identity(raw: bytes) -> tuple[Any, ...]:
    message = ResourceMetrics.FromString(raw)
    metric = message.scope_metrics[0].metrics[0]
    point = getattr(metric, str(metric.WhichOneof("data"))).data_points[0]
    return metric.name, plain_attributes(message.resource.attributes), plain_attributes(point.attributes)
