"""The language of `*.scenario` files: see README.md beside this file.

Turns a text into what it loads and what it expects; runs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from services.alerting.model import Rule, State
from services.alerting.policy import (
    BURN_RATE_1H_5M,
    OUTAGE,
    BurnRatePolicy,
    Objective,
    OutagePolicy,
    Policy,
    bind,
)
from tests.unit.alerting.slices_text import message, piece

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SHIPPED: dict[str, Policy] = {OUTAGE.name: OUTAGE, BURN_RATE_1H_5M.name: BURN_RATE_1H_5M}
START_MS = 1_760_000_400_000
IDLE, MISSING = "idle", "_"


@dataclass(frozen=True)
class Expectation:
    """At `at_ms` after the beginning the rule is in `state`, since `since_ms` where given."""

    line: str
    at_ms: int
    rule: str
    state: State
    since_ms: int | None


@dataclass(frozen=True)
class Told:
    """How often people are told."""

    line: str
    rule: str
    firing: int
    resolved: int


@dataclass
class Scenario:
    """A story: records by log time, and what is expected."""

    objectives: dict[str, Objective] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    records: list[tuple[int, bytes]] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


def parse(text: str) -> Scenario:
    """Raises ValueError with the line that cannot be read."""
    scenario = Scenario()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            _READERS[words[0]](scenario, words, line.strip())
        except (KeyError, ValueError, IndexError) as err:
            raise ValueError(f"line {number}: {line.strip()!r}: {err!r}") from err
    _tick(scenario)
    scenario.records.sort(key=lambda record: record[0])
    return scenario


def duration_ms(text: str) -> int:
    """`90s`, `5m`, `1h`, `30d` in milliseconds."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise ValueError(f"{text} is not a duration")
    return int(match[1]) * _UNITS_MS[match[2]]


def _options(words: list[str]) -> dict[str, str]:
    if len(words) % 2:
        raise ValueError("options come in pairs")
    return dict(zip(words[::2], words[1::2], strict=True))


def _percent(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100


def _ns(options: dict[str, str], name: str, default: str) -> int:
    return duration_ms(options.pop(name, default)) * 1_000_000


def _objective(scenario: Scenario, words: list[str], line: str) -> None:
    options = _options(words[2:])
    scenario.objectives[words[1]] = Objective(
        tenant="acme",
        name=words[1],
        target=_percent(options.pop("target", "99.9%")),
        period_ns=_ns(options, "period", "30d"),
        slice_ns=_ns(options, "slice", "10s"),
        down_above=_percent(options.pop("down-above", "50%")),
        coverage_floor=_percent(options.pop("coverage-floor", "90%")),
    )
    _all_used(options)


def _rule(scenario: Scenario, words: list[str], line: str) -> None:
    policy = SHIPPED[words[1]] if len(words) == 2 else _own(words)
    scenario.rules += [bind(policy, objective) for objective in scenario.objectives.values()]


def _own(words: list[str]) -> Policy:
    name, kind, options = words[1], words[2], _options(words[3:])
    policy: Policy
    if kind == "outage":
        policy = OutagePolicy(
            name=name,
            min_requests=int(options.pop("min-requests", "1")),
            for_ns=_ns(options, "for", "0s"),
            keep_firing_for_ns=_ns(options, "keep-firing-for", "30s"),
            severity="critical",
            source="scenario",
        )
    elif kind == "burn-rate":
        policy = BurnRatePolicy(
            name=name,
            long_ns=_ns(options, "long", ""),
            short_ns=_ns(options, "short", ""),
            budget_share=_percent(options.pop("share")) if "share" in options else None,
            factor=Fraction(options.pop("factor")) if "factor" in options else None,
            min_bad=int(options.pop("min-bad", "1")),
            for_ns=0,
            keep_firing_for_ns=_ns(options, "keep-firing-for", "0s"),
            severity="page",
            source="scenario",
        )
    else:
        raise ValueError(f"unknown kind of rule {kind}")
    _all_used(options)
    return policy


def _all_used(options: dict[str, str]) -> None:
    if options:
        raise ValueError(f"unknown options {sorted(options)}")


def _series(words: list[str]) -> list[str]:
    values = []
    for word in words:
        value, _, times = word.partition("x")
        values += [value] * int(times or "1")
    return values


def _load(scenario: Scenario, words: list[str], line: str) -> None:
    objective = scenario.objectives[words[1]]
    split = words.index("bad")
    if words[2] != "good":
        raise ValueError("load OBJECTIVE good ... bad ...")
    good, bad = _series(words[3:split]), _series(words[split + 1 :])
    length_ms = objective.slice_ns // 1_000_000
    for index in range(max(len(good), len(bad))):
        start_ms = index * length_ms
        shown, failed = good[min(index, len(good) - 1)], bad[min(index, len(bad) - 1)]
        if shown != MISSING:
            counts = (0, int(failed)) if shown == IDLE else (int(shown), int(failed))
            _publish(scenario, objective, start_ms, counts, at_ms=start_ms + length_ms)


def _revise(scenario: Scenario, words: list[str], line: str) -> None:
    options = _options(words[2:])
    counts = (int(options["good"]), int(options["bad"]))
    objective = scenario.objectives[words[1]]
    after_ms = duration_ms(options["after"])
    _publish(scenario, objective, duration_ms(options["at"]), counts, at_ms=after_ms, revision=2)


def _publish(
    scenario: Scenario,
    objective: Objective,
    start_ms: int,
    counts: tuple[int, int],
    *,
    at_ms: int,
    revision: int = 1,
) -> None:
    slice_ = piece(
        objective=objective.name,
        start_ms=START_MS + start_ms,
        length_ms=objective.slice_ns // 1_000_000,
        good=counts[0],
        bad=counts[1],
        revision=revision,
    )
    scenario.records.append((at_ms, message(slice_, watermark_ms=START_MS + at_ms)))


def _tick(scenario: Scenario) -> None:
    """Log time moves each second, as in the system, up to the last thing that is expected."""
    moments = [at_ms for at_ms, _ in scenario.records] + [each.at_ms for each in scenario.expectations]
    for second in range(1, max(moments, default=0) // 1000 + 1):
        at_ms = second * 1000
        scenario.records.append((at_ms - 1, message(watermark_ms=START_MS + at_ms - 1)))


def _at(scenario: Scenario, words: list[str], line: str) -> None:
    state = State(words[4].replace("-", "_"))
    since_ms = duration_ms(words[6]) if len(words) > 5 and words[5] == "since" else None
    scenario.expectations.append(Expectation(line, duration_ms(words[1]), words[3], state, since_ms))


def _expect(scenario: Scenario, words: list[str], line: str) -> None:
    if (words[2], words[4], words[6]) != ("notifies", "firing", "resolved"):
        raise ValueError("expect RULE notifies N firing M resolved")
    scenario.told.append(Told(line, words[1], int(words[3]), int(words[5])))


_READERS = {
    "objective": _objective,
    "rule": _rule,
    "load": _load,
    "revise": _revise,
    "at": _at,
    "expect": _expect,
}
