"""One evaluation of one rule over one window: the verdict and the numbers behind it.

Pure and exact: integers and fractions only. It has no memory (that is `state.py`) and no time of
its own: the caller says how far log time has come.
"""

from services.alerting.model import BurnRate, Finding, Outage, Rule, Slice, Verdict
from services.alerting.window import MS_NS, Sums, Window


def judge(rule: Rule, window: Window, *, now_ns: int) -> Finding:
    """The verdict of `rule` at log time `now_ns`.

    Counts that cannot be (more good requests than requests) are ERROR: such a slice must neither
    page nor resolve.
    """
    if window.impossible:
        return Finding(Verdict.ERROR, "IMPOSSIBLE_COUNTS")
    match rule.condition:
        case Outage() as outage:
            return _outage(outage, window, now_ns)
        case BurnRate() as burn:
            return _burn_rate(burn, window, now_ns)


def _outage(outage: Outage, window: Window, now_ns: int) -> Finding:
    """The newest slice with traffic speaks; covered time without traffic is not down."""
    end_ms = window.newest_observed_end_ms()
    if end_ms is None or now_ns - end_ms * MS_NS > outage.no_data_after_ns:
        return Finding(Verdict.NO_DATA, "NO_SENDER_REPORTS")
    newest = _newest_with_traffic(window, outage, oldest_end_ms=end_ms - outage.lookback_ns // MS_NS)
    if newest is None:
        return Finding(Verdict.CLEAR, "NO_TRAFFIC", {"observed_until_ms": end_ms})
    value: dict[str, int | str] = {
        "bad": newest.bad,
        "total": newest.total,
        "slice_start_ms": newest.start_ms,
        "slice_length_ms": newest.length_ms,
        "revision": newest.revision,
        "down_above": str(outage.down_above),
    }
    share = outage.down_above
    if newest.bad * share.denominator > share.numerator * newest.total:
        return Finding(Verdict.BREACH, "SLICE_DOWN", value)
    return Finding(Verdict.CLEAR, "SLICE_NOT_DOWN", value)


def _newest_with_traffic(window: Window, outage: Outage, *, oldest_end_ms: int) -> Slice | None:
    for piece in window.newest_first(ending_after_ms=oldest_end_ms):
        if piece.total >= max(1, outage.min_requests) and piece.excluded_ns < piece.length_ns:
            return piece
    return None


def _burn_rate(burn: BurnRate, window: Window, now_ns: int) -> Finding:
    """Both windows above factor * (1 - target): SRE workbook, chapter 5, approach 6.

    The windows end where data ends, or `no_data_after_ns` before log time when senders went
    silent: anchoring at the present would dilute them most in the middle of an incident.
    """
    seen_ms = window.newest_observed_end_ms()
    silent_ms = (now_ns - burn.no_data_after_ns) // MS_NS
    end_ms = silent_ms if seen_ms is None else max(seen_ms, silent_ms)
    long = window.sums(end_ms - burn.long_ns // MS_NS, end_ms)
    short = window.sums(end_ms - burn.short_ns // MS_NS, end_ms)
    value: dict[str, int | str] = {
        "long_bad": long.bad,
        "long_total": long.total,
        "short_bad": short.bad,
        "short_total": short.total,
        "end_ms": end_ms,
        "long_ms": burn.long_ns // MS_NS,
        "short_ms": burn.short_ns // MS_NS,
        "threshold": str(burn.threshold),
        "factor": str(burn.factor),
    }
    if seen_ms is None or short.observed_ns == 0:
        return Finding(Verdict.NO_DATA, "NO_SENDER_REPORTS", value)
    if not (_covered(long, burn) and _covered(short, burn)):
        return Finding(Verdict.HOLD, "BELOW_COVERAGE_FLOOR", value)
    if _burns(long, burn) and _burns(short, burn):
        if long.bad < burn.min_bad:
            return Finding(Verdict.CLEAR, "TOO_FEW_BAD", value)
        return Finding(Verdict.BREACH, "BOTH_WINDOWS_BURN", value)
    return Finding(Verdict.CLEAR, "NOT_BOTH_WINDOWS_BURN", value)


def _covered(sums: Sums, burn: BurnRate) -> bool:
    floor = burn.coverage_floor
    return sums.observed_ns * floor.denominator >= floor.numerator * sums.owed_ns


def _burns(sums: Sums, burn: BurnRate) -> bool:
    threshold = burn.threshold
    return sums.bad * threshold.denominator > threshold.numerator * sums.total
