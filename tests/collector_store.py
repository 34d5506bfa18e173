"""OTLP requests written to a point store the way the writer does it, without a log."""

from collections.abc import Sequence

from services.collector.dedupe import DedupeWindow
from services.collector.model import LoggedRequest
from services.collector.ports import PointStore
from services.collector.record import encode_requests, request_id
from services.collector.series_ids import Owners, SeriesIds
from services.collector.write_batches import Batch, BatchBuilder
from services.collector.write_series import SeriesCache
from services.common.log_port import Entry
from tests.otlp_requests import rows_of


def new_builder(*, to_the_ns: bool = False) -> BatchBuilder:
    """A builder that remembers nothing."""
    return BatchBuilder(DedupeWindow(), SeriesIds(), SeriesCache(), to_the_ns=lambda _: to_the_ns)


def build_batch(builder: BatchBuilder, entries: Sequence[Entry], *, log_time_ns: int = 0) -> Batch:
    """The batch of these entries, as of a store that knows no series."""
    reading, owners = builder.read(entries, log_time_ns=log_time_ns), Owners()
    while asked := builder.undecided(reading, owners):
        owners.add(asked, {})
    return builder.build(reading, owners=owners, first_seq=entries[0].seq, last_seq=entries[-1].seq)


class StoreWriter:
    """Stores requests batch by batch; every call is one batch of one tenant."""

    def __init__(self, store: PointStore, *, first_seq: int = 1) -> None:
        self._store = store
        self._seq = first_seq - 1

    async def write(
        self, tenant: str, raws: Sequence[bytes], *, now_ns: int, to_the_ns: bool = False
    ) -> None:
        """Store all points of these requests."""
        self._seq += 1
        requests = [LoggedRequest(request_id(tenant, raw), raw, rows_of(tenant, raw).points) for raw in raws]
        entry = Entry(self._seq, f"otlp.0.{tenant}", now_ns, encode_requests(tenant, requests), {})
        batch = build_batch(new_builder(to_the_ns=to_the_ns), [entry])
        for block in batch.all_blocks():
            token = f"t-{self._seq}-{block.table}-{block.day}"
            await self._store.insert(block, query_id=token, token=token)
