"""The gauge table of the OpenTelemetry Collector's ClickHouse exporter, as its own templates create it.

Source: opentelemetry-collector-contrib, exporter/clickhouseexporter/internal/sqltemplates. Another table
name, because ours has a view under the exporter's.
"""

_MAP = "Map(LowCardinality(String), String) CODEC(ZSTD(1))"
_TEXT = "String CODEC(ZSTD(1))"
_INDEXES = ",\n".join(
    f"INDEX idx_{short}_{part} map{part.title()}s({column}) TYPE bloom_filter(0.01) GRANULARITY 1"
    for short, column in (
        ("res_attr", "ResourceAttributes"),
        ("scope_attr", "ScopeAttributes"),
        ("attr", "Attributes"),
    )
    for part in ("key", "value")
)


def gauge_table(name: str) -> str:
    """The statement that creates it under `name`."""
    return f"""
CREATE TABLE {name} (
    ResourceAttributes {_MAP},
    ResourceSchemaUrl {_TEXT},
    ScopeName {_TEXT},
    ScopeVersion {_TEXT},
    ScopeAttributes {_MAP},
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl {_TEXT},
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName {_TEXT},
    MetricDescription {_TEXT},
    MetricUnit {_TEXT},
    Attributes {_MAP},
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    {_INDEXES}
) ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""


GAUGE_TABLE = gauge_table("otel_metrics_gauge_stock")


def gauge_rows_from_points() -> str:
    """Fill it from our table `points`: four attributes a series, five of its resource, as `payload.py`."""
    return """
INSERT INTO otel_metrics_gauge_stock (ResourceAttributes, ScopeName, ScopeVersion, ServiceName, MetricName,
    MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Value)
SELECT
    map('cloud.region', 'eu-1', 'deployment.environment', 'live', 'host.name', 'host-7',
        'service.name', 'checkout', 'service.version', '1.2.3'),
    'bench', '1.0', 'checkout', 'bench', 'A metric.', '1',
    map('code', '201', 'http.route', '/api/v1/carts/{cart}/items', 'method', 'POST',
        'pod', concat('checkout-', toString(series_id % 100000000))),
    start, ts, value_double
FROM points
"""
