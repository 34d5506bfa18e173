"""Whether a promise was kept. Integers and fractions only: no float comes near a comparison."""

from dataclasses import dataclass
from fractions import Fraction

from services.sla.model import NoData, Verdict

_STEP = 1000
"""Steps of a percent that are displayed: three decimals."""
_FINE = 10**9
"""Steps of a percent in sentences."""


@dataclass(frozen=True, slots=True)
class Times:
    """How a window divides, nanoseconds; each instant is in one of them."""

    up_ns: int
    degraded_ns: int
    down_ns: int
    excluded_ns: int
    no_data_ns: int
    not_started_ns: int

    @property
    def covered_ns(self) -> int:
        """Time with data."""
        return self.up_ns + self.degraded_ns + self.down_ns

    @property
    def coverage(self) -> Fraction | None:
        """1 - no_data / (window - excluded - not started); None when nothing remains."""
        counted = self.covered_ns + self.no_data_ns
        return Fraction(self.covered_ns, counted) if counted else None

    @property
    def uptime(self) -> Fraction | None:
        """Share of the time with data that was not down; None without data."""
        return Fraction(self.up_ns + self.degraded_ns, self.covered_ns) if self.covered_ns else None


@dataclass(frozen=True, slots=True)
class Budget:
    """What may fail, and what did: requests, and time. Both are floored; `remaining_ratio` is exact.

    total_ns, consumed_ns: of counted time; where requests decide, the time for which their failed share
    stands. period_total_ns: of the whole of a running period, what is to come included; None for others.
    frozen: coverage is below the floor; the figures are as of frozen_at_ms, when it was not (None: never).
    """

    total: int
    consumed: int
    remaining_ratio: Fraction
    frozen: bool
    any_failure_breaches: bool
    total_ns: int = 0
    consumed_ns: int = 0
    period_total_ns: int | None = None
    frozen_at_ms: int | None = None

    @property
    def remaining(self) -> int:
        """Negative when overdrawn."""
        return self.total - self.consumed


def request_ratio(good: int, total: int, times: Times, policy: NoData) -> Fraction | None:
    """The share of good requests, time without data counted as the policy says; None without requests.

    Missing time is taken as carrying requests at the average rate, all of them failed or all good.
    """
    return under_policy(Fraction(good, total), times, policy) if total else None


def under_policy(share: Fraction, times: Times, policy: NoData) -> Fraction:
    """A share of what is known, with the time without data counted as the policy says."""
    coverage = times.coverage
    if policy is NoData.EXCLUDE or coverage is None:
        return share
    if policy is NoData.COUNT_DOWN:
        return share * coverage
    return 1 - (1 - share) * coverage


def judge_share(share: Fraction | None, target: Fraction) -> Verdict:
    """PASS when the share reaches the target, exactly."""
    if share is None:
        return Verdict.NO_DATA
    return Verdict.PASS if share >= target else Verdict.FAIL


def judge_bounds(sure: int, possible: int, total: int, target: Fraction) -> Verdict:
    """From counts between which the true one lies: INDETERMINATE when the target lies between them."""
    if total == 0:
        return Verdict.NO_DATA
    return judge_between(Fraction(sure, total), Fraction(possible, total), target)


def judge_between(sure: Fraction, possible: Fraction, target: Fraction) -> Verdict:
    """The same from shares."""
    if sure >= target:
        return Verdict.PASS
    return Verdict.FAIL if possible < target else Verdict.INDETERMINATE


def worst(verdicts: list[Verdict]) -> Verdict:
    """FAIL, then NO_DATA, INDETERMINATE, PASS."""
    order = (Verdict.FAIL, Verdict.NO_DATA, Verdict.INDETERMINATE, Verdict.PASS)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.NO_DATA)


def request_budget(bad: int, total: int, target: Fraction, *, frozen: bool) -> Budget:
    """What may fail of `total` requests."""
    exact = (1 - target) * total
    left = 1 - bad * Fraction(exact.denominator, exact.numerator) if exact else Fraction(0)
    return Budget(
        total=exact.numerator // exact.denominator,
        consumed=bad,
        remaining_ratio=left,
        frozen=frozen,
        any_failure_breaches=target == 1,
    )


def displayed_percent(share: Fraction | None, *, flawless: bool) -> str:
    """Percent floored to three decimals; `100` only when nothing was down, failed or missing."""
    if share is None:
        return ""
    steps = (share.numerator * 100 * _STEP) // share.denominator
    if steps >= 100 * _STEP:
        if flawless:
            return "100"
        steps = 100 * _STEP - 1
    return f"{steps // _STEP}.{steps % _STEP:03d}"


def percent_of(share: Fraction) -> str:
    """A percent for sentences: all of its decimals up to nine, floored beyond them, no zeros at the end."""
    steps = share.numerator * 100 * _FINE // share.denominator
    sign, steps = ("-", -steps) if steps < 0 else ("", steps)
    whole, rest = divmod(steps, _FINE)
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".")
