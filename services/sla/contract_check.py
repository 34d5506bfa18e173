"""What is wrong with a contract that only this service can tell: presets are its data.

For `load_documents(checks=...)`, so that an unknown preset is refused with all other errors, before anything
is applied.
"""

from collections.abc import Iterator
from decimal import Decimal

from services.common.documents import Document
from services.common.documents_contract import ContractSpec
from services.sla.credits.presets import preset_of


def check_contract(document: Document) -> Iterator[tuple[str, str]]:
    """(field, reason) of each problem; nothing for documents of other kinds."""
    spec = document.spec
    if not isinstance(spec, ContractSpec) or spec.credits is None or spec.credits.preset is None:
        return
    objective = spec.objective(spec.credits.objective)
    if objective is None:
        return
    try:
        preset = preset_of(spec.credits.preset)
        terms = preset.terms(
            objective=objective.name,
            target=objective.good_share,
            base_fee=Decimal(0),
            currency=spec.credits.currency,
        )
    except ValueError as err:
        yield "spec.credits.preset", str(err)
        return
    first = max(tier.below for tier in terms.tiers)
    if first > objective.good_share:
        yield (
            "spec.credits.preset",
            f"{preset.name} pays below {float(first * 100):.10g}%, above what {objective.name} promises:"
            " it would pay for a promise kept",
        )
