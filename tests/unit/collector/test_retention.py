"""How long rows are kept comes from the tenant's document, and recovery knows that rows may be gone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.collector.errors import BatchMismatch
from services.collector.memory import InsertFault
from services.collector.retention import Retention
from services.common.config_feed import AppliedDocument
from services.common.documents import DocumentErrors, Kind, load_documents
from services.common.documents_platform import RETENTION_TABLES, TenantSpec
from services.common.errors import Unavailable
from tests.unit.collector.test_write import fails, until_written, writing
from tests.unit.collector.writer_bench import WriterBench


def applied(name: str, **spec: object) -> AppliedDocument[TenantSpec]:
    """A Tenant document in force."""
    return AppliedDocument(Kind.TENANT, None, name, TenantSpec.model_validate(spec), 1)


def test_days_come_from_the_document_of_the_tenant() -> None:
    retention = Retention()
    retention.replace(
        [
            applied("acme", retention="90d"),
            applied("beta", retention="10d", table_retention={"exemplars": "9d", "points": "26w"}),
            applied("gamma", table_retention={"exemplars": "9d"}),
        ]
    )

    tables = ("points", "histograms", "exemplars", "series")
    assert {
        tenant: [retention.days(tenant, table) for table in tables]
        for tenant in ("acme", "beta", "gamma", "nobody")
    } == {
        "acme": [90, 90, 90, 90],
        "beta": [182, 10, 9, 182],
        "gamma": [30, 30, 9, 30],
        "nobody": [30, 30, 30, 30],
    }
    retention.replace([])
    assert retention.days("acme", "points") == 30


def test_times_are_kept_to_the_nanosecond_for_tenants_that_ask() -> None:
    retention = Retention()
    retention.replace([applied("acme", timestamps="ns"), applied("beta", timestamps="ms"), applied("gamma")])

    assert [retention.to_the_ns(name) for name in ("acme", "beta", "gamma", "nobody")] == [True, *[False] * 3]


@pytest.mark.parametrize("text", ["8d", "36h", "9.5d", "0d", "3651d", "abc"])
def test_a_retention_that_cannot_be_kept_is_refused_with_file_and_field(tmp_path: Path, text: str) -> None:
    """Points are accepted up to 7 days late, so 9 days are the least."""
    path = tmp_path / "tenant.yaml"
    path.write_text(f"kind: Tenant\nmetadata: {{name: acme}}\nspec: {{retention: {text}}}\n")

    with pytest.raises(DocumentErrors, match=r"tenant\.yaml.*retention"):
        load_documents([path])


async def test_every_row_says_how_long_it_is_kept() -> None:
    bench = WriterBench()
    await bench.send(5)
    await bench.send(5, tenant="beta")

    async with writing(bench.writer(keep_days=lambda tenant, table: 40 + len(tenant) + len(table))):
        await until_written(bench)

    for block in bench.store.blocks:
        columns = {column.name: column.data for column in block.columns}
        assert set(np.asarray(columns["keep_days"]).tolist()) == {44 + len(block.table)}


async def test_nanoseconds_are_written_for_those_who_asked_and_not_at_all_where_nobody_did() -> None:
    bench = WriterBench()
    await bench.send(5)
    async with writing(bench.writer()):
        await until_written(bench)
    assert not [column for block in bench.store.blocks for column in block.columns if "_ns" in column.name]

    before = len(bench.store.blocks)
    await bench.send(40)
    await bench.send(40, tenant="beta")
    async with writing(bench.writer(to_the_ns=lambda tenant: tenant == "beta")):
        await until_written(bench)
    asked = 0
    for block in bench.store.blocks[before:]:
        columns = {column.name: column.data for column in block.columns}
        if block.table in RETENTION_TABLES and "ts_ns" in columns:
            codes: Any = columns["tenant"]
            beta = np.array([codes.values[code] == "beta" for code in codes.codes.tolist()])
            below: Any = columns["ts_ns"]
            assert not below[~beta].any()
            asked += int(np.count_nonzero(below[beta]))
    assert asked


@pytest.mark.parametrize(("keep_days", "gone"), [(9, False), (0, True)])
async def test_rows_that_went_with_their_retention_are_no_mismatch(keep_days: int, gone: bool) -> None:
    """A writer that catches up after weeks inserts rows that a merge may remove before it counts them."""
    bench = WriterBench()
    await bench.send(5)
    bench.store.fail_inserts(None, InsertFault.STORED)
    await fails(bench.writer(keep_days=lambda *_: keep_days), Unavailable)
    bench.store.lose_rows("points", 1)

    if gone:
        async with writing(bench.writer(keep_days=lambda *_: keep_days)):
            await until_written(bench)
    else:
        await fails(bench.writer(keep_days=lambda *_: keep_days), BatchMismatch)
