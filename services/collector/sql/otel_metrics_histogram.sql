-- Histograms with explicit bounds as the OpenTelemetry Collector's ClickHouse exporter lays them out.
-- As there, an absent sum, min or max reads 0; `histograms` tells them apart.
-- $whose narrows it to one tenant; filters on MetricName reach the key of the points by the join.
CREATE OR REPLACE VIEW $into.otel_metrics_histogram (
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
    BucketCounts Array(UInt64),
    ExplicitBounds Array(Float64),
    `Exemplars.FilteredAttributes` Array(Map(LowCardinality(String), String)),
    `Exemplars.TimeUnix` Array(DateTime64(9)),
    `Exemplars.Value` Array(Float64),
    `Exemplars.SpanId` Array(String),
    `Exemplars.TraceId` Array(String),
    Flags UInt32,
    Min Float64,
    Max Float64,
    AggregationTemporality Int32
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
    ifNull(p.sum, 0) AS Sum,
    p.counts AS BucketCounts,
    p.bounds AS ExplicitBounds,
    tupleElement(e.items, 2) AS `Exemplars.FilteredAttributes`,
    tupleElement(e.items, 1) AS `Exemplars.TimeUnix`,
    tupleElement(e.items, 3) AS `Exemplars.Value`,
    tupleElement(e.items, 4) AS `Exemplars.SpanId`,
    tupleElement(e.items, 5) AS `Exemplars.TraceId`,
    p.flags AS Flags,
    ifNull(p.min, 0) AS Min,
    ifNull(p.max, 0) AS Max,
    toInt32(s.temporality) AS AggregationTemporality
FROM (SELECT * FROM $source.histograms WHERE $whose) AS p
INNER JOIN (SELECT * FROM $source.series FINAL WHERE $whose AND type = 'histogram') AS s
    ON p.tenant = s.tenant AND p.metric_id = s.metric_id AND p.series_id = s.series_id AND toDate(p.ts) = s.day
LEFT JOIN (
    SELECT
        tenant, metric_id, series_id, point_ts, start,
        arraySort(each -> each.1, groupArray((
            ts,
            filtered_texts,
            if(kind = 'int', toFloat64(value_int), value_double),
            lower(hex(span_id)),
            lower(hex(trace_id))
        ))) AS items
    FROM $source.exemplars
    WHERE $whose
    GROUP BY tenant, metric_id, series_id, point_ts, start
) AS e
    ON p.tenant = e.tenant AND p.metric_id = e.metric_id AND p.series_id = e.series_id
    AND p.ts = e.point_ts AND p.start = e.start
