"""Published credit schedules, read from the YAML beside this module and checked when they are read.

A preset names the way to measure, the tiers, the cap, the claim rule and its source. What a vendor leaves
open, or measures in a way that the match of an objective has to express, is in `open`, for people to read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml

from services.common.documents_values import Ratio
from services.sla.credits.model import CreditTerms, Tier
from services.sla.credits.money import minor_digits_of
from services.sla.credits.preset_documents import PresetDocument, PresetFile
from services.sla.methods.model import Method
from services.sla.windows import Period

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Preset:
    """One published schedule.

    as_of: edition of the source where it has one, else the month in which the numbers were read.
    commitment: None when the contract's own target, within `commitment_between`, is the first edge; the
    `below` of the first tier is None then as well. notice_ms: announcement that maintenance needs.
    """

    name: str
    title: str
    source: str
    as_of: str
    commitment: Fraction | None
    commitment_between: tuple[Fraction, Fraction] | None
    method: Method
    tiers: tuple[tuple[Fraction | None, Fraction], ...]
    cap: Fraction | None
    minimum: Decimal | None
    minimum_currency: str
    claim_within_days: int | None
    claim_within_cycles: int | None
    notice_ms: int | None
    whole_minutes_unstated: bool
    open: tuple[str, ...]

    def terms(
        self,
        *,
        objective: str,
        target: Fraction,
        base_fee: Decimal,
        currency: str,
        period: Period = Period.MONTH,
        rounding: str = "half_even",
    ) -> CreditTerms:
        """Terms for one objective; whatever a contract changes is replaced in them afterwards.

        Raises:
            ValueError: the preset takes the contract's target as its first edge, and it is out of range.
        """
        if self.commitment_between is not None:
            low, high = self.commitment_between
            if not low <= target <= high:
                raise ValueError(f"{self.name} is for targets from {low} to {high}, not {target}")
        return CreditTerms(
            objective=objective,
            period=period,
            tiers=tuple(Tier(target if below is None else below, credit) for below, credit in self.tiers),
            currency=currency,
            base_fee=base_fee,
            cap=self.cap,
            minimum=self.minimum,
            rounding=rounding,
            minor_digits=minor_digits_of(currency),
            claim_within_days=self.claim_within_days,
            source=f"{self.source} ({self.as_of})",
            preset=self.name,
            claim_within_cycles=self.claim_within_cycles,
            minimum_currency=self.minimum_currency,
            whole_minutes_unstated=self.whole_minutes_unstated,
        )


@cache
def presets() -> Mapping[str, Preset]:
    """All shipped presets by name."""
    folder = files("services.sla.credits") / "presets"
    texts = [path.read_text("utf-8") for path in folder.iterdir() if path.name.endswith(".yaml")]
    return MappingProxyType({one.name: one for one in read_presets(texts)})


def preset_of(name: str) -> Preset:
    """One of them.

    Raises:
        ValueError: there is none of that name; the text lists those that there are.
    """
    found = presets().get(name)
    if found is None:
        raise ValueError(f"there is no preset {name}; there are {', '.join(sorted(presets()))}")
    return found


def read_presets(texts: Iterable[str]) -> tuple[Preset, ...]:
    """From YAML, ordered by name.

    Raises:
        ValueError: a text does not have the form, or two presets have one name.
    """
    documents = [one for text in texts for one in PresetFile.model_validate(yaml.safe_load(text)).presets]
    names = [one.name for one in documents]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"there are two presets {', '.join(twice)}")
    return tuple(sorted((_preset(one) for one in documents), key=lambda one: one.name))


def _preset(document: PresetDocument) -> Preset:
    between = document.commitment_between
    return Preset(
        name=document.name,
        title=document.title,
        source=document.source,
        as_of=document.as_of,
        commitment=_edge(document.commitment),
        commitment_between=None if between is None else (between[0].value, between[1].value),
        method=document.method.method(),
        tiers=tuple((_edge(tier.below), tier.credit.value) for tier in document.tiers),
        cap=None if document.cap is None else document.cap.value,
        minimum=None if document.minimum is None else Decimal(document.minimum.amount),
        minimum_currency="" if document.minimum is None else document.minimum.currency,
        claim_within_days=None if document.claim is None else document.claim.days,
        claim_within_cycles=None if document.claim is None else document.claim.cycles,
        notice_ms=None if document.notice is None else document.notice.ns // _NS_PER_MS,
        whole_minutes_unstated=document.whole_minutes_unstated,
        open=document.open,
    )


def _edge(value: Ratio | str) -> Fraction | None:
    return value.value if isinstance(value, Ratio) else None
