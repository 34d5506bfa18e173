"""Texts for people: what an alert says, with the exact numbers and the log times behind it.

Pure: the same transition always reads the same. Percentages are floored and only for reading.
"""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from services.alerting.model import Cause, Finding, Labels, Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(time_ns: int) -> str:
    """UTC with milliseconds, such as 2026-01-02T03:04:05.678Z; fractions of them are cut off."""
    moment = _EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def annotations(rule: Rule, finding: Finding, *, cause: Cause, active: bool, at_ns: int) -> Labels:
    """`summary` (one line) and `description` (the evidence) of a transition."""
    what = f"{rule.tenant} {rule.objective}"
    if cause is Cause.RULE_REMOVED:
        summary = f"{rule.name} of {what} is no longer evaluated: its rule is gone"
    elif active:
        summary = f"{what}: {_headline(finding)}"
    else:
        summary = f"{what}: recovered from {rule.name}"
    evidence = _evidence(finding)
    return {
        "summary": summary,
        "description": f"{finding.reason}. {evidence}Evaluated at log time {rfc3339(at_ns)}.",
    }


def percent(part: int, whole: int) -> str:
    """Floored to two decimals; `-` of nothing."""
    if whole <= 0:
        return "-"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def decimal(factor: Fraction) -> str:
    """A factor for people, `14.4` for 72/5; floored to three decimals."""
    thousandths = factor.numerator * 1000 // factor.denominator
    return f"{thousandths // 1000}.{thousandths % 1000:03d}".rstrip("0").rstrip(".")


def _headline(finding: Finding) -> str:
    value = finding.value
    if "long_bad" in value:
        return (
            f"the error budget burns more than {decimal(Fraction(value['factor']))} times too fast: "
            f"{value['short_bad']} of {value['short_total']} requests failed lately"
        )
    if "total" in value:
        bad, total = int(value["bad"]), int(value["total"])
        return f"{bad} of {total} requests failed ({percent(bad, total)})"
    return finding.reason


def _evidence(finding: Finding) -> str:
    value = finding.value
    if "long_bad" in value:
        until = rfc3339(int(value["end_ms"]) * 1_000_000)
        return (
            f"Up to {until}: "
            f"{value['long_bad']} bad of {value['long_total']} in {_seconds(value['long_ms'])}, "
            f"{value['short_bad']} bad of {value['short_total']} in {_seconds(value['short_ms'])}; "
            f"threshold {value['threshold']}. "
        )
    if "total" in value:
        start = rfc3339(int(value["slice_start_ms"]) * 1_000_000)
        return (
            f"Slice from {start} of {_seconds(value['slice_length_ms'])}, revision {value['revision']}: "
            f"{value['bad']} bad of {value['total']}; down above {value['down_above']}. "
        )
    return ""


def _seconds(milliseconds: int | str) -> str:
    return f"{int(milliseconds) / 1000:g} s"
