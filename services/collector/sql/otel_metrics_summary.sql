-- Summaries as the OpenTelemetry Collector's ClickHouse exporter lays them out.
-- $whose narrows it to one tenant; filters on MetricName reach the key of the points by the join.
CREATE OR REPLACE VIEW $into.otel_metrics_summary (
    ResourceAttributes Map(LowCardinality(String), String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Map(LowCardinality(String), String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName String,
    MetricDescription String,
    MetricUnit String,
    Attributes Map(LowCardinality(String), String),
    StartTimeUnix DateTime64(9),
    TimeUnix DateTime64(9),
    Count UInt64,
    Sum Float64,
    `ValueAtQuantiles.Quantile` Array(Float64),
    `ValueAtQuantiles.Value` Array(Float64),
    Flags UInt32
)
SQL SECURITY INVOKER
AS SELECT
    s.resource_attributes AS ResourceAttributes,
    s.resource_schema_url AS ResourceSchemaUrl,
    s.scope_name AS ScopeName,
    s.scope_version AS ScopeVersion,
    s.scope_attributes AS ScopeAttributes,
    s.scope_dropped AS ScopeDroppedAttrCount,
    s.scope_schema_url AS ScopeSchemaUrl,
    s.service AS ServiceName,
    s.metric AS MetricName,
    s.description AS MetricDescription,
    s.unit AS MetricUnit,
    s.attributes AS Attributes,
    p.start AS StartTimeUnix,
    p.ts AS TimeUnix,
    p.count AS Count,
    p.sum AS Sum,
    p.quantiles AS `ValueAtQuantiles.Quantile`,
    p.quantile_values AS `ValueAtQuantiles.Value`,
    p.flags AS Flags
FROM (SELECT * FROM $source.summaries WHERE $whose) AS p
INNER JOIN (SELECT * FROM $source.series FINAL WHERE $whose AND type = 'summary') AS s
    ON p.tenant = s.tenant AND p.metric_id = s.metric_id AND p.series_id = s.series_id AND toDate(p.ts) = s.day
