"""OpenSLO v1 `kind: SLO` into the raw form of our contracts.

SLOs of one tenant and contract (annotations `threenines/...`) are objectives of one contract. Budgeting
methods map to ways to measure: Occurrences to request_ratio, Timeslices to error_rate over the slices,
RatioTimeslices to mean_error_rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.common.documents_errors import DocumentError, FieldProblems
from services.common.documents_values import Ratio
from services.common.documents_yaml import RawDocument
from services.common.openslo_indicators import indicator_of
from services.common.openslo_values import (
    ANNOTATIONS,
    CONTRACT,
    EFFECTIVE_FROM,
    OBJECTIVE,
    PERIODS,
    TENANT,
    TIME_ZONE,
    decimal_text,
    first_day,
)

_SPEC_FIELDS = frozenset(
    {
        "service",
        "indicator",
        "indicatorRef",
        "timeWindow",
        "budgetingMethod",
        "objectives",
        "alertPolicies",
    }
)
_ALWAYS = "1970-01-01"


class Refused(FieldProblems):
    """An SLO that says something we would compute differently."""


@dataclass(slots=True)
class Found:
    """All OpenSLO documents that were read, by kind and name, and what of them is not expressed."""

    documents: Mapping[tuple[str, str], RawDocument]
    notes: list[DocumentError] = field(default_factory=list)

    def note(self, raw: RawDocument, place: str, reason: str) -> None:
        """Something of a document has no meaning here."""
        self.notes.append(raw.error(place, reason))

    def spec_of(self, kind: str, name: object, place: str) -> Mapping[str, Any]:
        """The spec of a document that is referred to. Raises Refused."""
        raw = self.documents.get((kind, str(name)))
        spec = None if raw is None else raw.content.get("spec")
        if not isinstance(spec, Mapping):
            raise Refused([(place, f"there is no {kind} {name}")])
        return spec


@dataclass(frozen=True, slots=True)
class Place:
    """Where an SLO belongs: its objective is `<contract>/<name>` of the tenant."""

    tenant: str
    contract: str
    names: tuple[str, ...]


@dataclass(slots=True)
class _Contract:
    first: RawDocument
    zone: str | None = None
    effective: str | None = None
    objectives: list[dict[str, Any]] = field(default_factory=list)


class SloReader:
    """Gathers SLOs into contracts."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._contracts: dict[tuple[str, str, str], _Contract] = {}

    def place_of(self, raw: RawDocument) -> Place:
        """Tenant, contract and objective names of an SLO. Raises Refused."""
        annotations, spec = _annotations(raw), _mapping(raw.content.get("spec"))
        contract = annotations.get(CONTRACT) or spec.get("service")
        missing = [
            (f"metadata.annotations.{name}", f"is required: {why}")
            for name, value, why in (
                (TENANT, annotations.get(TENANT), "OpenSLO knows no tenants"),
                (CONTRACT, contract, "or spec.service, which names the contract"),
            )
            if not value
        ]
        if missing:
            raise Refused(missing)
        name = str(annotations.get(OBJECTIVE) or _mapping(raw.content.get("metadata")).get("name", ""))
        count = len(_list(spec.get("objectives")))
        names = (name,) if count < 2 else tuple(f"{name}-{place}" for place in range(1, count + 1))
        return Place(str(annotations[TENANT]), str(contract), names)

    def add(self, raw: RawDocument) -> None:
        """One SLO. Raises Refused with everything that is wrong with it."""
        place = self.place_of(raw)
        spec = _mapping(raw.content.get("spec"))
        version = str(_annotations(raw).get(EFFECTIVE_FROM, ""))
        contract = self._contracts.setdefault((place.tenant, place.contract, version), _Contract(raw))
        problems: list[tuple[str, str]] = []
        try:
            window, zone, start = _window(spec)
            contract.zone = _same(contract.zone, zone or _annotations(raw).get(TIME_ZONE), "time zone")
            effective = str(_annotations(raw).get(EFFECTIVE_FROM) or start or "") or None
            contract.effective = _same(contract.effective, effective, "effective date")
        except Refused as err:
            problems.extend(err.problems)
            window = ""
        for at, (name, said) in enumerate(zip(place.names, _list(spec.get("objectives")), strict=False)):
            try:
                made = self._objective(raw, spec, _mapping(said), f"spec.objectives[{at}]")
                contract.objectives.append({**made, "name": name, "window": window})
            except Refused as err:
                problems.extend(err.problems)
        if not _list(spec.get("objectives")):
            problems.append(("spec.objectives", "is required"))
        if problems:
            raise Refused(problems)
        self._note(raw, spec)

    def contracts(self) -> list[tuple[RawDocument, RawDocument]]:
        """(the first SLO of it, the contract as our raw document) of each contract."""
        out = []
        for (tenant, name, _), made in self._contracts.items():
            content = {
                "kind": "Contract",
                "metadata": {"tenant": tenant, "name": name},
                "spec": {
                    "time_zone": made.zone or "UTC",
                    "effective_from": made.effective or _ALWAYS,
                    "objectives": made.objectives,
                },
            }
            if made.objectives:
                out.append((made.first, RawDocument(made.first.file, made.first.index, content)))
        return out

    def _objective(
        self, raw: RawDocument, spec: Mapping[str, Any], said: Mapping[str, Any], place: str
    ) -> dict[str, Any]:
        indicator, where = said.get("indicator") or spec.get("indicator"), "spec.indicator"
        if indicator is None:
            where = "spec.indicatorRef"
            reference = said.get("indicatorRef") or spec.get("indicatorRef")
            if reference is None:
                raise Refused([("spec.indicator", "is required, or indicatorRef")])
            indicator_spec = self._found.spec_of("SLI", reference, where)
        else:
            indicator_spec = _mapping(_mapping(indicator).get("spec"))
        problems, made = indicator_of(indicator_spec, f"{where}.spec")
        target = _target(said, place)
        if problems:
            raise Refused(problems)
        method = spec.get("budgetingMethod")
        if made["type"] == "latency":
            _threshold(made, said, target, place)
            if method not in ("Occurrences", None):
                raise Refused([("spec.budgetingMethod", f"{method} of a threshold is not computed")])
            return made
        if "signal" not in made and (measured := _method(method, said, place)):
            made["method"] = measured
        for name in said.keys() - {"target", "targetPercent", "timeSliceTarget", "timeSliceWindow"}:
            if name not in ("indicator", "indicatorRef"):
                self._found.note(raw, f"{place}.{name}", "is not used")
        return {**made, "target": target.text}

    def _note(self, raw: RawDocument, spec: Mapping[str, Any]) -> None:
        metadata = _mapping(raw.content.get("metadata"))
        for name in sorted(metadata.keys() - {"name", "annotations"}):
            self._found.note(raw, f"metadata.{name}", "contracts have no such field")
        for name in sorted(_annotations(raw).keys() - ANNOTATIONS):
            self._found.note(raw, f"metadata.annotations.{name}", "is not one of ours")
        for name in sorted(spec.keys() - _SPEC_FIELDS):
            self._found.note(raw, f"spec.{name}", "contracts have no such field")


def _threshold(made: dict[str, Any], said: Mapping[str, Any], target: Ratio, place: str) -> None:
    """Share of requests below a threshold: the quantile of that share is below it."""
    if said.get("op") not in ("lt", "lte"):
        raise Refused([(f"{place}.op", "must be lt or lte: a latency is to stay below its threshold")])
    try:
        value = Ratio.parse(said.get("value")).value
    except ValueError:
        raise Refused([(f"{place}.value", "must be the threshold in seconds")]) from None
    made["target"] = f"{decimal_text(value)}s"
    made["quantile"] = target.text


def _method(method: object, said: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    window = said.get("timeSliceWindow")
    match method:
        case None | "Occurrences":
            return None
        case "Timeslices" | "RatioTimeslices" if window is None:
            raise Refused([(f"{place}.timeSliceWindow", f"is required by {method}")])
        case "Timeslices":
            try:
                good = Ratio.parse(said.get("timeSliceTarget")).value
            except ValueError:
                raise Refused([(f"{place}.timeSliceTarget", "is required by Timeslices")]) from None
            return {
                "type": "error_rate",
                "above": decimal_text(1 - good),
                "interval": str(window),
                "partial_intervals": True,
            }
        case "RatioTimeslices":
            return {"type": "mean_error_rate", "interval": str(window)}
        case _:
            raise Refused([("spec.budgetingMethod", f"{method} is none of OpenSLO v1")])


def _target(said: Mapping[str, Any], place: str) -> Ratio:
    for name, unit in (("target", ""), ("targetPercent", "%")):
        if name in said:
            try:
                return Ratio.parse(f"{said[name]}{unit}")
            except ValueError as err:
                raise Refused([(f"{place}.{name}", str(err))]) from None
    raise Refused([(f"{place}.target", "is required, or targetPercent")])


def _window(spec: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    """(window of the objective, zone, first day of a calendar) of an SLO. Raises Refused."""
    windows = _list(spec.get("timeWindow"))
    if len(windows) != 1 or not isinstance(windows[0], Mapping):
        raise Refused([("spec.timeWindow", "must hold exactly one window")])
    window, length = windows[0], str(windows[0].get("duration", ""))
    if window.get("isRolling", "calendar" not in window):
        if length[-1:] in ("M", "Q", "Y"):
            reason = f"{length} has no fixed length: a rolling window is in m, h, d or w"
            raise Refused([("spec.timeWindow[0].duration", reason)])
        return length, None, None
    calendar, period = _mapping(window.get("calendar")), PERIODS.get(length)
    if period is None:
        reason = f"a calendar window is one of {', '.join(PERIODS)}"
        raise Refused([("spec.timeWindow[0].duration", reason)])
    try:
        start = datetime.fromisoformat(str(calendar.get("startTime")))
    except ValueError:
        raise Refused([("spec.timeWindow[0].calendar.startTime", "must be a date and time")]) from None
    if not _begins(period, start):
        reason = f"a {period} of ours does not begin at {start}"
        raise Refused([("spec.timeWindow[0].calendar.startTime", reason)])
    zone = calendar.get("timeZone")
    return period, None if zone is None else str(zone), start.date().isoformat()


def _begins(period: str, start: datetime) -> bool:
    day = start.date()
    return (start.hour, start.minute, start.second) == (0, 0, 0) and first_day(period, day) == day


def _same(known: str | None, said: object, what: str) -> str | None:
    if said is None:
        return known
    if known not in (None, str(said)):
        raise Refused([("spec", f"its {what} {said} is not that of the contract, {known}")])
    return str(said)


def _annotations(raw: RawDocument) -> Mapping[str, Any]:
    return _mapping(_mapping(raw.content.get("metadata")).get("annotations"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
