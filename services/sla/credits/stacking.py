"""Credits do not add up: for one fee and one period there is one credit, the highest."""

from dataclasses import replace

from services.sla.credits.model import Credit, CreditState, CreditTerms
from services.sla.credits.rules import nothing


def without_stacking(found: list[Credit], terms: CreditTerms) -> list[Credit]:
    """One credit for one fee: of those for the same period the highest stays, the others are not due.

    Equal credits (the same one computed twice) become one. While one of them is to be reviewed nobody
    knows which is the highest, so those that were due are to be reviewed too.

    Args:
        found: of one contract version, in any order.
        terms: says the currency and the decimals that "nothing" is written in.
    """
    groups: dict[str, list[Credit]] = {}
    for one in sorted(dict.fromkeys(found), key=lambda one: (-one.amount, one.objective)):
        groups.setdefault(one.name, []).append(one)
    kept: list[Credit] = []
    for group in groups.values():
        doubtful = [one.objective for one in group if one.state is CreditState.REVIEW_REQUIRED]
        if doubtful:
            kept.extend(_held(one, doubtful) for one in group)
        else:
            kept.extend((group[0], *(_not_added(one, group[0], terms) for one in group[1:])))
    return sorted(kept, key=lambda one: (one.period_start_ms, one.objective))


def _held(one: Credit, doubtful: list[str]) -> Credit:
    if not doubtful or one.state is not CreditState.DUE:
        return one
    why = f"Review required: only the highest credit is given, and that for {', '.join(doubtful)} is open."
    return replace(one, state=CreditState.REVIEW_REQUIRED, trace=(*one.trace, why))


def _not_added(one: Credit, highest: Credit, terms: CreditTerms) -> Credit:
    if not one.amount:
        return one
    why = (
        f"Not added: credits do not stack, and {highest.objective} gives {highest.amount} {highest.currency}."
    )
    state = one.state if one.state is CreditState.RUNNING else CreditState.NOT_DUE
    return replace(one, state=state, amount=nothing(terms), claim_by_ms=None, trace=(*one.trace, why))
