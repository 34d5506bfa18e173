"""The declarations themselves: what a log must never leave to a default."""

import pytest

from services.common.errors import InvalidArgument
from services.common.streams import (
    BUCKETS,
    STREAMS,
    StreamsConfig,
    bucket_config,
    check_subject,
    stream_config,
)

_CONFIG = StreamsConfig(total_bytes=1 << 30, replicas=3, placement_tags=("region:eu",))
_ALL = [stream_config(spec, _CONFIG) for spec in STREAMS] + [
    bucket_config(bucket, _CONFIG) for bucket in BUCKETS
]


@pytest.mark.parametrize("declared", _ALL, ids=lambda declared: str(declared["name"]))
def test_nothing_is_ever_discarded_silently(declared: dict[str, object]) -> None:
    assert declared["discard"] == "new"
    assert declared["storage"] == "file"
    assert declared["max_age"] == 0
    assert declared["max_msgs"] == -1
    assert declared["num_replicas"] == 3
    assert declared["placement"] == {"tags": ["region:eu"]}


def test_all_together_take_no_more_than_the_total() -> None:
    sizes = [declared["max_bytes"] for declared in _ALL]

    assert sum(size for size in sizes if isinstance(size, int)) <= 1 << 30
    assert all(isinstance(size, int) and size > 0 for size in sizes)


def test_no_two_streams_share_a_subject() -> None:
    prefixes = [spec.subjects.split(".")[0] for spec in STREAMS]

    assert len(set(prefixes)) == len(prefixes)


@pytest.mark.parametrize("good", ["otlp.0.acme", "config.Contract._.gold", "a"])
def test_subjects_of_records_are_taken(good: str) -> None:
    check_subject(good)


@pytest.mark.parametrize("bad", ["", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nb", "a.*", "a.>", ">"])
def test_what_is_no_subject_of_a_record_is_refused(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        check_subject(bad)
