"""Point 18: a new revision says what differs from the one before: value, old, new, who and why."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from services.sla.reports.canonical import canonical_json
from services.sla.reports.diff import changes_between, says_the_same
from services.sla.reports.model import Change, Provenance, Replaced
from tests.unit.sla.reports.examples import availability, exclusions, flawless_month, report, rich_month


def with_days(days):
    return report((dataclasses.replace(availability(), days=tuple(days)),))


def test_the_same_report_has_no_changes():
    content = canonical_json(rich_month())

    assert changes_between(content, content) == ()
    assert says_the_same(content, content)


def test_a_changed_value_has_its_path_and_both_values():
    old = availability()
    new = dataclasses.replace(old, good=old.good - 1)

    found = changes_between(
        canonical_json(report((old,))), canonical_json(report((new,))), reason="LATE_DATA", actor="collector"
    )

    path = "/objectives/requests/good"
    assert found == (Change(path, f'"{old.good}"', f'"{new.good}"', "LATE_DATA", "collector"),)


def test_a_day_that_comes_in_between_does_not_change_the_others():
    days = availability().days
    missing = with_days([*days[:10], *days[11:]])

    found = changes_between(canonical_json(missing), canonical_json(with_days(days)))

    assert {change.path.split("/")[4] for change in found} == {"2026-10-11"}
    assert {change.old for change in found} == {""}


def test_a_retroactive_exclusion_is_a_change_and_the_issued_bytes_stay():
    before = dataclasses.replace(availability(), exclusions=exclusions()[:1])
    issued = canonical_json(report((before,)))
    after = canonical_json(report((availability(),), revision=2))

    found = changes_between(issued, after, reason="MAINTENANCE_ADDED", actor="ops@example.com")

    assert any("exclusions" in change.path and not change.old for change in found)
    assert {change.reason for change in found} == {"MAINTENANCE_ADDED"}
    assert issued == canonical_json(report((before,)))


def test_revision_and_what_it_replaces_are_no_changes():
    new = dataclasses.replace(flawless_month(), revision=7, replaces=Replaced(6, "ab", "why"))

    assert says_the_same(canonical_json(flawless_month()), canonical_json(new))


def test_a_new_watermark_alone_needs_no_revision():
    new = dataclasses.replace(flawless_month(), provenance=Provenance(1, 2))
    old, new = canonical_json(flawless_month()), canonical_json(new)

    assert says_the_same(old, new)
    assert {change.path for change in changes_between(old, new)} == {
        "/provenance/data_revision",
        "/provenance/watermark_time",
    }


def test_a_name_with_a_slash_is_one_part_of_the_path():
    old = dataclasses.replace(availability("a/b~c"), good=1)
    new = dataclasses.replace(old, good=2)

    (found,) = changes_between(canonical_json(report((old,))), canonical_json(report((new,))))

    assert found.path == "/objectives/a~1b~0c/good"


@given(st.integers(0, 30), st.integers(0, 10**12), st.integers(0, 10**12))
def test_exactly_what_was_changed_is_told(place, good, other):
    days = list(availability().days)
    days[place] = dataclasses.replace(days[place], good=good)
    old = canonical_json(with_days(days))
    days[place] = dataclasses.replace(days[place], good=other)

    found = changes_between(old, canonical_json(with_days(days)))

    assert [(one.old, one.new) for one in found] == ([] if good == other else [(f'"{good}"', f'"{other}"')])
