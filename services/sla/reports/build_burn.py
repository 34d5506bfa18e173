"""How the budget of a period went, day by day, from the figures of its days. Fractions only."""

from fractions import Fraction

from services.sla.figures_model import DayRow, Latency, WindowFigures
from services.sla.methods.model import RequestRatio
from services.sla.model import Objective
from services.sla.reports.model import BurnPoint


def burn_of(found: WindowFigures) -> tuple[BurnPoint, ...]:
    """Consumed shares of the whole period's budget at the end of each day; none where there is no budget.

    A day weighs by its requests where requests decide, else by its time with data, under the target at its
    start. The budget of a running period is what it comes to at the average so far.
    """
    where = found.figures.used.window
    lost, allowed, points = Fraction(0), Fraction(0), []
    for row in found.days:
        terms = _terms_at(found, row.start_ms)
        weight = _weight(terms, row, found)
        if row.share is not None:
            lost += (1 - row.share) * weight
            allowed += (1 - terms.good_share) * weight
        points.append((row.end_ms, lost))
    elapsed = where.data_end_ms - where.start_ms
    if not allowed or elapsed <= 0:
        return ()
    whole = allowed * Fraction(where.end_ms - where.start_ms, elapsed)
    return tuple(BurnPoint(at_ms, lost / whole) for at_ms, lost in points)


def _weight(terms: Objective, row: DayRow, found: WindowFigures) -> int:
    by_requests = isinstance(found.figures, Latency) or (
        isinstance(terms.method, RequestRatio) and terms.signal is None
    )
    return row.total if by_requests else row.times.covered_ns


def _terms_at(found: WindowFigures, at_ms: int) -> Objective:
    for one in found.segments:
        if one.window.start_ms <= at_ms < one.window.end_ms:
            return one.objective
    return found.objective
