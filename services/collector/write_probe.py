"""Bytes or machine: whose fault is it when a request cannot be written?

An error that we know is about the bytes. One that we do not know may as well come from this process
(no memory, a kernel that cannot be compiled), and then every request would look like poison. So a
request that is known to be good is tried: when that fails, too, nothing is judged and the writer stops.
"""

from collections.abc import Callable

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.columns import Decoded
from services.collector.identity import series_key
from services.collector.retention import default_keep_days
from services.collector.series_ids import TableKeys
from services.collector.write_columns import Rows
from services.common.errors import ThreeninesError

_TIME_NS = 1_700_000_000_000_000_000


def blames_bytes(err: Exception, decode: Callable[[bytes], Decoded]) -> bool:
    """Whether `err` says something about the request that it came from."""
    if isinstance(err, ThreeninesError):
        return True
    return not isinstance(err, MemoryError | OSError) and _sound(decode)


def _sound(decode: Callable[[bytes], Decoded]) -> bool:
    try:
        decoded = decode(_good_request())
        keys = [series_key("probe", identity) for identity in decoded.series.identity]
        rows = Rows(batch=1, keep_days=default_keep_days)
        table = TableKeys(keys, decoded.series.metric)
        rows.add("probe", decoded, np.ones(decoded.point_count, dtype=np.bool_), table)
        return len(rows.finish().blocks) == 5
    # Any error at all is the answer.
    except Exception:
        return False


def _good_request() -> bytes:
    """A point of every type, one with an exemplar."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    point = scope.metrics.add(name="a").gauge.data_points.add(time_unix_nano=_TIME_NS, as_int=1)
    point.exemplars.add(time_unix_nano=_TIME_NS, as_double=1.0)
    scope.metrics.add(name="b").histogram.data_points.add(
        time_unix_nano=_TIME_NS, count=1, bucket_counts=[1, 0], explicit_bounds=[1.0]
    )
    scope.metrics.add(name="c").exponential_histogram.data_points.add(time_unix_nano=_TIME_NS, zero_count=1)
    summary = scope.metrics.add(name="d").summary.data_points.add(time_unix_nano=_TIME_NS, count=1)
    summary.quantile_values.add(quantile=0.5, value=1.0)
    return request.SerializeToString()
