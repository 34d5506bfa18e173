"""The p95 of a window is that of all its requests together: a mean of p95s gives another verdict.

Ten slices, nine of them busy and fast, one nearly idle and slow, and the other way round.
"""

from fractions import Fraction
from statistics import mean

import numpy as np
import pytest

from services.sla.columns import columns_of
from services.sla.distribution import exponential_distribution, merge, quantile_of
from services.sla.figures import latency_of
from services.sla.kernels import exponential
from services.sla.model import Revision, Slice, Verdict
from services.sla.windows import Window
from tests.unit.sla.slicing import LATENCY

P95 = Fraction(95, 100)
WIDTH = 10_000


def of(requests, seconds):
    return exponential_distribution(5, exponential.index_of(seconds, 5), 0, np.array([requests], np.int64))


CASES = [
    ("a quiet slow slice", [of(1000, 0.1)] * 9 + [of(20, 60.0)], Verdict.PASS, Verdict.FAIL),
    ("a busy slow slice", [of(20, 0.1)] * 9 + [of(1000, 10.0)], Verdict.FAIL, Verdict.PASS),
]


@pytest.mark.parametrize(("name", "parts", "verdict", "of_the_mean"), CASES, ids=[case[0] for case in CASES])
def test_the_verdict_is_that_of_the_merged_distribution(name, parts, verdict, of_the_mean):
    slices = [
        Slice(k * WIDTH, WIDTH, 0, part.total, up_ns=WIDTH * 10**6, sealed=True, distribution=part)
        for k, part in enumerate(parts)
    ]
    columns = columns_of([(Revision(one, 1, 0), k) for k, one in enumerate(slices)])

    latency = latency_of(LATENCY, columns, Window(0, 10 * WIDTH, 10 * WIDTH), P95)

    average = mean(quantile_of(part, P95).estimate for part in parts)
    assert (average < 2) == (of_the_mean is Verdict.PASS)
    assert latency.verdict is verdict
    assert latency.bounds == quantile_of(merge(parts), P95)
    assert (latency.bounds.estimate < 2) == (verdict is Verdict.PASS)
