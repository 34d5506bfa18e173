"""What `threenines up` starts, as far as it can be chosen."""

from pathlib import Path

import pytest

from services.embedded.layout import DataDir, Ports
from services.embedded.plan import Platform, build_plan


@pytest.mark.parametrize(
    ("chosen", "environ", "told", "title"),
    [
        (None, {}, None, "collector (OTLP in)"),
        (None, {"THREENINES_COLLECTOR_WORKERS": "2"}, "2", "collector (2 workers)"),
        (3, {"THREENINES_COLLECTOR_WORKERS": "2"}, "3", "collector (3 workers)"),
        (1, {"THREENINES_COLLECTOR_WORKERS": "2"}, "1", "collector (OTLP in)"),
    ],
)
def test_the_collector_is_told_its_workers_and_the_table_tells_people(
    tmp_path: Path, chosen: int | None, environ: dict[str, str], told: str | None, title: str
) -> None:
    files = DataDir(tmp_path / "data")
    files.prepare()
    plan = build_plan(Platform(collector_workers=chosen), files, Ports.standard(), environ=environ)
    collector = next(one for one in plan.services if one.name == "collector")

    assert collector.env.get("THREENINES_COLLECTOR_WORKERS") == told
    assert collector.title == title
