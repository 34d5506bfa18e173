"""OpenSLO v1 indicators: a ratio of requests, or a threshold on their duration.

Their queries belong to a vendor; only a metricSource of type `threenines` says what we can read.
"""

from collections.abc import Mapping
from typing import Any

from services.common.openslo_values import SOURCE_TYPE

_Problems = list[tuple[str, str]]


def indicator_of(spec: Mapping[str, Any], place: str) -> tuple[_Problems, dict[str, Any]]:
    """(problems, fields of an availability or latency objective of ours)."""
    if isinstance(spec.get("ratioMetric"), Mapping):
        return _ratio(spec["ratioMetric"], f"{place}.ratioMetric")
    if isinstance(spec.get("thresholdMetric"), Mapping):
        problems, source = _source(spec["thresholdMetric"], f"{place}.thresholdMetric")
        source.pop("quantile", None)
        return problems, {"type": "latency", **source}
    return [(place, "needs a ratioMetric or a thresholdMetric")], {"type": "availability"}


def _ratio(metric: Mapping[str, Any], place: str) -> tuple[_Problems, dict[str, Any]]:
    out: dict[str, Any] = {"type": "availability"}
    if "raw" in metric:
        problems, signal = _source(metric["raw"], f"{place}.raw")
        kind = signal.get("signal")
        if kind is None and not problems:
            problems = [(f"{place}.raw", "must have a spec with a signal: probe or heartbeat")]
        return problems, {**out, "signal": kind}
    if not isinstance(metric.get("bad"), Mapping):
        return [(f"{place}.bad", "is required: requests are good unless they are bad")], out
    problems, bad = _source(metric["bad"], f"{place}.bad")
    more, total = _source(metric.get("total"), f"{place}.total")
    problems += more
    if not problems and any(bad.get(name) != total.get(name) for name in ("metric", "match", "overlap")):
        problems.append((f"{place}.total", "must have the metric, match and overlap of bad"))
    outcome = {name: bad.pop(name) for name in ("attribute", "at_least") if name in bad}
    out.update(bad)
    if outcome:
        out["bad"] = outcome
    return problems, out


def _source(metric: object, place: str) -> tuple[_Problems, dict[str, Any]]:
    source = metric.get("metricSource") if isinstance(metric, Mapping) else None
    if not isinstance(source, Mapping):
        return [(f"{place}.metricSource", "is required")], {}
    if source.get("type") != SOURCE_TYPE:
        reason = (
            f"{source.get('type')} queries cannot be read: use type {SOURCE_TYPE}"
            " and a spec such as {metric: http.server.request.duration}"
        )
        return [(f"{place}.metricSource.type", reason)], {}
    spec = source.get("spec")
    return [], dict(spec) if isinstance(spec, Mapping) else {}
