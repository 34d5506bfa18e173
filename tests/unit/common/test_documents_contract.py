"""Contracts as documents: what may be promised, and every reason why not at once."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from services.common.documents import document_from_json, document_to_json, load_documents
from services.common.documents_contract import ContractSpec
from services.common.documents_values import Amount, TimeOfDay, WindowLength
from tests.unit.common.contract_texts import UP, contract, load, problems

DOCS = Path(__file__).parents[3] / "docs" / "contracts.md"


def example(tmp_path: Path) -> Path:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    file = tmp_path / "docs.yaml"
    file.write_text(text)
    return file


def test_the_example_of_the_documentation_loads_and_survives_storage(tmp_path: Path) -> None:
    documents = load_documents([example(tmp_path)])
    spec = documents[2].spec

    assert isinstance(spec, ContractSpec)
    assert len({one.type for one in spec.objectives}) == 5
    assert [document_from_json(document_to_json(one)) for one in documents] == documents


def test_the_example_of_the_documentation_names_every_field_of_a_contract(tmp_path: Path) -> None:
    written = example(tmp_path).read_text()
    assert [name for name in ContractSpec.model_fields if f"\n  {name}:" not in written] == []


def test_contracts_that_were_written_before_mean_the_same(tmp_path: Path) -> None:
    (document,) = load(tmp_path, contract(UP.replace("month", "30d")))
    spec = document.spec

    assert isinstance(spec, ContractSpec)
    assert (spec.objectives[0].window.ns, spec.objectives[0].window.period) == (30 * 86_400 * 10**9, None)
    assert (spec.maintenance.effect, spec.maintenance.notice.ns, spec.credits) == ("drop", 0, None)


@pytest.mark.parametrize(
    ("more", "objectives", "expected"),
    [
        ("", ['{name: a, type: composite, target: "1", window: month, children: [a]}'], "children[0]"),
        (
            "",
            [
                '{name: a, type: composite, target: "1", window: month, children: [b]}',
                '{name: b, type: composite, target: "1", window: month, children: [a, nobody]}',
            ],
            "children",
        ),
        (
            "",
            [UP, '{name: j, type: composite, target: "1", window: month, children: [up, up]}'],
            "children[1]",
        ),
        (
            "",
            [
                "{name: i, type: incident_resolution, target: 4h, window: month}",
                '{name: j, type: composite, target: "1", window: month, children: [i]}',
            ],
            "children[0]",
        ),
        ("", [UP, f"{UP[:-1]}, children: [up]}}"], "children"),
        (
            "",
            [UP, '{name: j, type: composite, target: "1", window: 1d, children: [up], weights: {up: 1}}'],
            "weights",
        ),
        (
            "",
            [
                UP,
                '{name: j, type: composite, target: "1", window: 1d, children: [up], mode: weighted,'
                " weights: {up: 0}}",
            ],
            "weights",
        ),
        (
            "",
            ["{name: i, type: incident_resolution, target: 4h, window: month, clock: service_hours}"],
            "objectives[0].clock",
        ),
        ("service_hours: {from: '20:00', to: '08:00'}", [UP], "spec.service_hours.to"),
        ("slice: 7s", [UP], "objectives[0].window"),
        ("slice: 40s", [f"{UP[:-1]}, method: {{type: all_fail}}}}"], "method.interval"),
        (
            "",
            [f"{UP[:-1]}, signal: {{type: probe, metric: m}}, method: {{type: all_fail}}}}"],
            "objectives[0].method",
        ),
        ("", [f"{UP[:-1]}, method: {{type: error_rate, above: 100%}}}}"], "method.above"),
        ("credits: {objective: up, base_fee: 1, currency: EUR}", [UP], "spec.credits.tiers"),
        (
            "credits: {objective: down, base_fee: 1, currency: EUR, preset: x}",
            [UP],
            "spec.credits.objective",
        ),
        (
            "credits: {objective: up, base_fee: 1, currency: EUR, preset: x}",
            [UP.replace("month", "30d")],
            "spec.credits.objective",
        ),
        (
            "credits: {objective: up, period: year, base_fee: 1, currency: EUR, preset: x}",
            [UP],
            "spec.credits.period",
        ),
        (
            "credits: {objective: up, base_fee: 1, currency: EUR, tiers: [{below: '99.99%', credit: 10%}]}",
            [UP],
            "spec.credits.tiers[0].below",
        ),
        (
            "credits: {objective: up, base_fee: 1, currency: EUR,"
            " tiers: [{below: 99%, credit: 10%}, {below: 99%, credit: 20%}]}",
            [UP],
            "spec.credits.tiers[1].below",
        ),
        ("reports: {schedule: monthly, webhook: nobody}", [UP], "spec.reports.webhook"),
        ("reports: {schedule: monthly, formats: [docx]}", [UP], "spec.reports.formats[0]"),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_field(
    tmp_path: Path, more: str, objectives: list[str], expected: str
) -> None:
    found = problems(tmp_path, contract(*objectives, more=more))

    assert found, "was accepted"
    assert any(expected in field for field, _ in found), found


def test_everything_that_does_not_go_together_is_told_at_once(tmp_path: Path) -> None:
    journey = '{name: journey, type: composite, target: "1", window: 401d, children: [up, nobody]}'
    more = "slice: 7s\ncredits: {objective: nothing, base_fee: 1, currency: EUR, preset: x}"
    found = {field for field, _ in problems(tmp_path, contract(UP, journey, more=more))}

    assert found == {
        "spec.objectives[0].window",
        "spec.objectives[1].window",
        "spec.objectives[1].children[1]",
        "spec.credits.objective",
    }


def test_a_composite_is_made_of_objectives_that_are_measured(tmp_path: Path) -> None:
    one = '{{name: {0}, type: composite, target: "1", window: month, children: [{1}]}}'
    found = problems(tmp_path, contract(one.format("a", "b"), one.format("b", "b"), UP))

    told = "b is a composite itself: name the objectives that it is made of"
    assert found == [(f"spec.objectives[{k}].children[0]", told) for k in (0, 1)]


def test_versions_of_one_contract_differ_in_their_date(tmp_path: Path) -> None:
    assert len(load(tmp_path, contract(), contract(since="2026-06-15"))) == 2
    ((field, reason),) = problems(tmp_path, contract(), contract())
    assert (field, "2026-01-01" in reason) == ("metadata.name", True)


@pytest.mark.parametrize("text", ["fortnight", "0s", "-1d", 30, None])
def test_what_is_no_window_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        WindowLength.parse(text)


@pytest.mark.parametrize("text", ["-1", "1e3", "1.0000001", 1.5, True])
def test_what_is_no_amount_of_money_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        Amount.parse(text)


@pytest.mark.parametrize(("said", "minute"), [("08:00", 480), (1200, 1200), ("24:00", 1440), ("00:00", 0)])
def test_a_time_of_day_may_be_the_number_that_yaml_makes_of_it(said: object, minute: int) -> None:
    assert TimeOfDay.parse(said).minute == minute


@pytest.mark.parametrize("said", ["24:01", "8:00", "08:60", 1441, -1, "noon"])
def test_what_is_no_time_of_day_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        TimeOfDay.parse(said)


def test_a_target_of_100_percent_leaves_no_budget(tmp_path: Path) -> None:
    (document,) = load(tmp_path, contract("{name: d, type: data_availability, window: month}"))
    assert isinstance(document.spec, ContractSpec)
    assert document.spec.objectives[0].good_share == Fraction(1)
