"""The kernels against protobuf's own parser: same requests refused, same rows from the others.

THREENINES_DIFFERENTIAL_CASES sets the number of cases (1000000 for the full run); the result is printed.
"""

import os
import random
import time

import numpy as np
import pytest

from services.collector.decode import Decoder, fresh_secrets
from services.collector.series_directory import SeriesDirectory
from tests.unit.collector.kernels.differential import cases, differences, found
from tests.unit.collector.kernels.walk import expected

CASES = int(os.environ.get("THREENINES_DIFFERENTIAL_CASES", "20000"))
SEED = int(os.environ.get("THREENINES_DIFFERENTIAL_SEED", "1"))


@pytest.mark.timeout(7200)
def test_the_kernels_accept_and_read_what_protobufs_parser_does(capsys: pytest.CaptureFixture[str]) -> None:
    """Generated and damaged requests, with foreign bytes around each."""
    decoder, rng = Decoder(fresh_secrets()), random.Random(SEED)
    begun = time.process_time()
    checked = accepted = points = 0
    for raw in cases(SEED, CASES):
        wanted = expected(raw)
        assert not differences(wanted, found(decoder, raw, rng)), f"seed {SEED}: {raw.hex()}"
        checked += 1
        if wanted is not None:
            accepted += 1
            points += wanted.point_count
    with capsys.disabled():
        print(
            f"\n  decode differential: {checked} requests ({accepted} accepted, {points} points), "
            f"0 differences, {time.process_time() - begun:.1f} CPU-s"
        )

    assert checked >= CASES
    assert 0 < accepted < checked


def test_rows_stay_right_when_first_hashes_meet_all_the_time() -> None:
    """With five bits of hash nearly all series collide; each is told apart, and the collisions counted."""
    secrets = fresh_secrets()
    secrets[-1] = np.uint64(0x1F)
    decoder, rng = Decoder(secrets, SeriesDirectory(capacity=1 << 12)), random.Random(SEED)
    for raw in cases(SEED + 1, 2000):
        assert not differences(expected(raw), found(decoder, raw, rng)), raw.hex()

    assert decoder.directory.collisions > 500


def test_rows_stay_right_when_only_a_few_series_are_remembered() -> None:
    """Generations of series replace one another all the time; what is in use is taken over."""
    decoder, rng = Decoder(fresh_secrets(), SeriesDirectory(capacity=8)), random.Random(SEED)
    for raw in cases(SEED + 2, 1500):
        assert not differences(expected(raw), found(decoder, raw, rng)), raw.hex()
