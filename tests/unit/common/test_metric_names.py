"""Metric names follow one form and are used once."""

import re

from services.common.metric_names import COUNTER_NAMES, GAUGE_NAMES, HISTOGRAM_NAMES


def test_names_are_dotted_lower_case_and_unique():
    names = [*COUNTER_NAMES, *GAUGE_NAMES, *HISTOGRAM_NAMES]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"(collector|sla|alerting|dr|common)(\.[a-z]+)+", name) for name in names)
