"""Transitions for tests: the real fold's."""

from services.alerting.fold import Fold
from services.alerting.model import Rule, Transition
from services.alerting.slices import decode_slices
from tests.unit.alerting.rules_text import outage
from tests.unit.alerting.slices_text import feed


def outage_story(
    outcomes: list[tuple[int, int]] | None = None, *, rule: Rule | None = None
) -> list[Transition]:
    """Firing, recovering and normal of one outage, unless told otherwise."""
    rule = rule or outage()
    fold = Fold()
    fold.adopt(rule.tenant, [rule])
    changes: list[Transition] = []
    outcomes = outcomes or [(10, 0)] * 2 + [(5, 30)] * 2 + [(10, 0)] * 5
    for seq, data in enumerate(feed(outcomes), 1):
        message = decode_slices(data.replace(b'"acme"', f'"{rule.tenant}"'.encode()))
        assert message is not None
        changes += fold.apply(seq, message)
    return changes
