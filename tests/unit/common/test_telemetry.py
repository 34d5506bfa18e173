"""Counts are exact in the process, and the SDK observes the same numbers."""

import threading

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from services.common.telemetry import Counters, Telemetry


def exported(reader):
    data = reader.get_metrics_data()
    return {
        metric.name: metric.data.data_points
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_values_sum_over_the_labels_that_are_not_named():
    counters = Counters()
    counters.add("collector.points.rejected", 3, tenant="acme", reason="TOO_OLD")
    counters.add("collector.points.rejected", 4, tenant="acme", reason="NO_NAME")
    counters.add("collector.points.rejected", 5, tenant="globex", reason="TOO_OLD")

    assert counters.value("collector.points.rejected") == 12
    assert counters.value("collector.points.rejected", tenant="acme") == 7
    assert counters.value("collector.points.rejected", tenant="acme", reason="NO_NAME") == 4
    assert counters.value("collector.points.rejected", tenant="initech") == 0


def test_the_order_of_labels_does_not_matter():
    counters = Counters()
    counters.add("collector.requests", tenant="acme", outcome="ok")
    counters.add("collector.requests", outcome="ok", tenant="acme")

    assert counters.series("collector.requests") == {(("outcome", "ok"), ("tenant", "acme")): 2}


def test_a_counter_never_goes_down():
    with pytest.raises(ValueError, match="cannot go down"):
        Counters().add("collector.requests", -1)


def test_too_many_label_sets_keep_the_sum_exact():
    counters = Counters(label_sets=10)
    for n in range(25):
        counters.add("collector.requests", tenant=f"t{n}")

    assert counters.value("collector.requests") == 25
    assert len(counters.series("collector.requests")) == 11


def test_counts_from_many_threads_are_all_counted():
    counters = Counters()

    def work():
        for _ in range(2000):
            counters.add("collector.requests", tenant="acme")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.value("collector.requests") == 8000


def test_the_sdk_observes_counters_gauges_and_histograms():
    reader = InMemoryMetricReader()
    telemetry = Telemetry("threenines-test", region="eu-west-1", reader=reader)
    telemetry.counters.add("collector.points.stored", 9, tenant="acme")
    telemetry.gauge("collector.log.lag", lambda: 12.0)
    telemetry.gauge("sla.applied.lag", lambda: None)
    telemetry.record("collector.batch.duration", 0.25)
    points = exported(reader)
    telemetry.shutdown()

    assert [(p.value, dict(p.attributes)) for p in points["threenines.collector.points.stored"]] == [
        (9, {"tenant": "acme"})
    ]
    assert [p.value for p in points["threenines.collector.log.lag"]] == [12.0]
    assert "threenines.sla.applied.lag" not in points
    assert points["threenines.collector.batch.duration"][0].sum == 0.25


def test_without_an_endpoint_nothing_is_exported_and_counting_still_works():
    telemetry = Telemetry("threenines-test")
    telemetry.counters.add("dr.backups", outcome="done")
    telemetry.record("dr.backup.duration", 1.0)
    telemetry.shutdown()

    assert not telemetry.exporting
    assert telemetry.counters.value("dr.backups") == 1
