"""Series by the hundred thousand, or by the million: none is taken for another.

`THREENINES_SERIES=10000000` runs the number that release notes tell.
"""

import os

import numpy as np

from services.collector.decode import Decoder, fresh_secrets
from services.collector.identity import series_key
from tests.bench.series_load import PODS, SERIES, Requests

_SERIES = int(os.environ.get("THREENINES_SERIES", "100000"))


def test_no_two_of_many_series_have_one_identity_one_hash_or_one_id() -> None:
    requests, decoder = Requests(1_700_000_000_000_000_000), Decoder(fresh_secrets())
    count = max(1, _SERIES // SERIES)
    ids, metrics = np.empty((count, SERIES), np.uint64), np.empty((count, SERIES), np.uint32)
    for number in range(count):
        decoded = decoder.decode(requests.request(number))
        table = decoded.series
        assert len(table.identity) == SERIES
        # Each point leads to the series that has its own pod in its attributes.
        pods = [b"checkout-%08d" % (number * PODS + place) for place in range(PODS)] * (SERIES // PODS)
        found = [table.identity[series] for series in decoded.series_index.tolist()]
        assert all(pod in identity for pod, identity in zip(pods, found, strict=True))
        keys = [series_key("acme", identity) for identity in table.identity]
        ids[number] = [key.series_id for key in keys]
        metrics[number] = [key.metric_id for key in keys]

    assert decoder.directory.read == count * SERIES, "each was new, so none met another's hash"
    assert decoder.directory.collisions == 0
    together = np.stack((metrics.ravel().astype(np.uint64), ids.ravel()))
    assert np.unique(together, axis=1).shape[1] == count * SERIES
