"""From figures to what credits are computed from: the share, its bounds, and why a person has to look. Pure.

Incidents have no time that is missing. What they leave open is those that still run when the period is over:
they belong to the period in which they are solved, and a promise that they break may be one of this period
as well. Only where that changes the amount somebody has to decide.
"""

from fractions import Fraction

from services.sla.credits.model import CreditTerms
from services.sla.credits.rules import amount_of
from services.sla.figures_model import Figures, Latency, Resolution, Uptime
from services.sla.methods.measure import Measured
from services.sla.model import Verdict
from services.sla.verdict import percent_of, under_policy


def measured_of(figures: Figures) -> Measured:
    """The share that the tiers are compared with."""
    match figures:
        case Uptime():
            assert figures.measured is not None
            return figures.measured
        case Latency():
            times = figures.times
            if not figures.total or figures.share is None:
                return Measured(None, 0, times.covered_ns, ())
            low, possible = figures.share, Fraction(figures.possible, figures.total)
            high = under_policy(possible, times, figures.objective.no_data)
            return Measured(low, 0, times.covered_ns, (), (), low, high)
        case Resolution(found=found):
            stopped = found.in_time + found.late
            # Without an incident none was late: the promise was kept as a whole.
            share = Fraction(found.in_time, stopped) if stopped else Fraction(1)
            return Measured(share, 0, 0, (), (), share, share)


def reasons(figures: Figures, terms: CreditTerms) -> tuple[str, ...]:
    """Why a person has to look before money moves, as sentences, beside what the rules leave open."""
    if isinstance(figures, Resolution):
        return _open_incidents(figures, terms)
    found = []
    coverage, floor = figures.times.coverage, figures.objective.coverage_floor
    if coverage is not None and coverage < floor:
        found.append(
            f"Only {percent_of(coverage)} % of the time is known; below {percent_of(floor)} % the contract"
            " does not judge."
        )
    if figures.used.provisional:
        found.append("Slices of the period are not sealed: they may still change.")
    if isinstance(figures, Latency) and figures.verdict is Verdict.INDETERMINATE:
        found.append("The buckets of the measurement do not tell on which side of the target it is.")
    return tuple(found)


def _open_incidents(figures: Resolution, terms: CreditTerms) -> tuple[str, ...]:
    found = figures.found
    if not found.running:
        return ()
    without = measured_of(figures).share
    stopped = found.in_time + found.late
    # As many of them as are late already, and all of them.
    others = [Fraction(found.in_time, stopped + n) for n in (found.overdue, found.running) if stopped + n]
    if len({amount_of(terms, share).amount for share in (without, *others)}) == 1:
        return ()
    many = "1 incident was" if found.running == 1 else f"{found.running} incidents were"
    return (
        f"{many} open at the end of the period, {found.overdue} of them past the limit; the terms do not say"
        " for which period that counts.",
    )
