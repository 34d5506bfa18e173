"""Resends within 20 minutes of log time are recognised, whatever was remembered when."""

from hypothesis import given
from hypothesis import strategies as st

from services.collector.dedupe import DEDUPE_WINDOW_NS, DedupeWindow

_MINUTE = 60 * 10**9


def test_a_resend_is_recognised_until_the_window_ends() -> None:
    window = DedupeWindow()
    look = window.look()

    assert not look.resent(b"a", 0)
    assert look.resent(b"a", DEDUPE_WINDOW_NS)
    assert not window.look().resent(b"a", 0), "nothing is remembered before the commit"


def test_every_occurrence_counts_also_a_skipped_one() -> None:
    look = DedupeWindow().look()

    assert [look.resent(b"a", minutes * _MINUTE) for minutes in (0, 15, 30, 51)] == [False, True, True, False]


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 15)), max_size=30),
    st.integers(0, 30),
)
def test_a_window_read_back_decides_as_the_one_that_went_on(steps: list[tuple[bytes, int]], cut: int) -> None:
    events, now = [], 0
    for identifier, minutes in steps:
        now += minutes * _MINUTE
        events.append((identifier, now))
    whole = DedupeWindow().look()
    expected = [whole.resent(*event) for event in events][cut:]

    window = DedupeWindow()
    since = events[cut - 1][1] - DEDUPE_WINDOW_NS if 0 < cut <= len(events) else 0
    window.commit(event for event in events[:cut] if event[1] >= since)
    look = window.look()
    assert [look.resent(*event) for event in events[cut:]] == expected


def test_what_is_too_old_is_forgotten() -> None:
    window = DedupeWindow()
    window.commit([(b"a", 0), (b"b", 1)])
    window.commit([(b"a", DEDUPE_WINDOW_NS), (b"c", DEDUPE_WINDOW_NS + 2)])

    assert len(window) == 2
