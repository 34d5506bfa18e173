"""What goes into the streams comes out of them."""

import json

import pytest

from services.sla.model import (
    Applied,
    Distribution,
    DistributionKind,
    Revision,
    Slice,
    SliceMessage,
    Touched,
)
from services.sla.payload import applied_from_json, applied_to_json, message_from_json, message_to_json

EXPONENTIAL = Distribution(DistributionKind.EXPONENTIAL, (1, 0, 2), scale=-1, offset=-7, zero_count=3)
EXPLICIT = Distribution(DistributionKind.EXPLICIT, (1, 0), bounds=(2.5,))
LARGE = 2**62 + 1


@pytest.mark.parametrize("distribution", [None, EXPONENTIAL, EXPLICIT])
def test_slices_come_back_to_the_last_integer(distribution):
    one = Slice(10_000, 10_000, LARGE, LARGE, up_ns=10**10, distribution=distribution, sealed=True)
    message = SliceMessage("acme", LARGE, 7, (("gold/availability", Revision(one, 3, 1234)),))

    assert message_from_json(message_to_json(message)) == message


def test_an_epoch_holds_no_slices():
    assert message_from_json(b'{"version":1,"type":"epoch","token":4}') is None


def test_applied_comes_back():
    applied = Applied("db", 4, LARGE, (Touched("acme", "m", 1, 2),))

    assert applied_from_json(applied_to_json(applied)) == applied


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match="version 2"):
        message_from_json(json.dumps({"version": 2}).encode())
