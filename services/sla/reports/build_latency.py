"""What a report says of response times: quantile, bounds, buckets, and what a running period can come to.

Floats of figures become decimals here, and nothing is rounded up.
"""

from decimal import Decimal
from fractions import Fraction
from math import isfinite

from services.sla.figures_budget import projection_of
from services.sla.figures_model import Latency
from services.sla.kernels import exponential
from services.sla.model import Distribution, DistributionKind, Verdict
from services.sla.reports.model import Bucket, LatencyReport, ProjectionRow
from services.sla.verdict import judge_share


def speed_of(figures: Latency, distribution: Distribution | None) -> LatencyReport:
    """The quantile with its bounds, what the verdict compares, and the buckets of all requests."""
    bounds, threshold_s = figures.bounds, figures.objective.threshold_s
    assert threshold_s is not None
    return LatencyReport(
        quantile=figures.quantile,
        threshold_s=threshold_s,
        estimate_s=None if bounds is None else decimal_of(bounds.estimate),
        lower_s=None if bounds is None else decimal_of(bounds.lower),
        upper_s=None if bounds is None else decimal_of(bounds.upper),
        saturated=bounds is not None and bounds.saturated,
        sure=figures.sure,
        possible=figures.possible,
        total=figures.total,
        buckets=() if distribution is None else buckets_of(distribution),
    )


def buckets_of(distribution: Distribution) -> tuple[Bucket, ...]:
    """A distribution by upper bounds; the first has what is at or below the lower bound of all others."""
    if distribution.kind is DistributionKind.EXPLICIT:
        bounds = [*distribution.bounds, float("inf")]
        return tuple(Bucket(decimal_of(b), n) for b, n in zip(bounds, distribution.counts, strict=True))
    scale, offset = distribution.scale, distribution.offset
    first = Bucket(decimal_of(exponential.lower_bound(offset, scale)), distribution.zero_count)
    return (
        first,
        *(
            Bucket(decimal_of(exponential.lower_bound(offset + j + 1, scale)), n)
            for j, n in enumerate(distribution.counts)
        ),
    )


def latency_projection(figures: Latency) -> ProjectionRow | None:
    """Of a running period, by time: what is surely within the target; decided where what may be agrees."""
    if not figures.total:
        return None
    known_ns, where = figures.times.covered_ns, figures.used.window
    sure, possible = (
        projection_of(Fraction(part, figures.total), known_ns, where)
        for part in (figures.sure, figures.possible)
    )
    if sure is None or possible is None:
        return None

    def judged(low: Fraction | None, high: Fraction | None) -> str:
        verdicts = {judge_share(share, figures.quantile) for share in (low, high)}
        return (verdicts.pop() if len(verdicts) == 1 else Verdict.INDETERMINATE).name

    return ProjectionRow(
        *(sure.so_far, judged(sure.so_far, possible.so_far)),
        *(sure.projected, judged(sure.projected, possible.projected)),
        *(sure.worst, judged(sure.worst, possible.worst)),
        sure.rest_ns,
    )


def decimal_of(value: float) -> Decimal | None:
    """As the shortest decimal that is this float; None for what is not finite."""
    return Decimal(repr(value)) if isfinite(value) else None
