-- One row for each series and day (several until a merge folds them): what the points of the other
-- tables mean. `identity` is lossless: a serialised opentelemetry.proto.metrics.v1.ResourceMetrics with
-- this resource, scope and metric header and one point that has only its attributes. Columns outside the
-- key follow from it; `any` only tells the engine so. identity_hash: who owns the series_id of this metric.
-- keep_days: see points.
CREATE TABLE IF NOT EXISTS series (
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    metric LowCardinality(String) CODEC(ZSTD(1)),
    metric_id SimpleAggregateFunction(any, UInt32) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    identity_hash SimpleAggregateFunction(any, UInt64) CODEC(ZSTD(1)),
    keep_days SimpleAggregateFunction(max, UInt16) DEFAULT 30 CODEC(ZSTD(1)),
    sender_id SimpleAggregateFunction(any, UInt64) CODEC(ZSTD(1)),
    day Date CODEC(ZSTD(1)),
    type SimpleAggregateFunction(any, Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exp_histogram' = 4, 'summary' = 5)) CODEC(ZSTD(1)),
    temporality SimpleAggregateFunction(any, Enum8('unspecified' = 0, 'delta' = 1, 'cumulative' = 2)) CODEC(ZSTD(1)),
    monotonic SimpleAggregateFunction(any, Bool) CODEC(ZSTD(1)),
    unit SimpleAggregateFunction(any, LowCardinality(String)) CODEC(ZSTD(1)),
    description SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    service SimpleAggregateFunction(any, LowCardinality(String)) CODEC(ZSTD(1)),
    resource_attributes SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1)),
    resource_schema_url SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    resource_dropped SimpleAggregateFunction(any, UInt32) CODEC(ZSTD(1)),
    scope_name SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    scope_version SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    scope_attributes SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1)),
    scope_dropped SimpleAggregateFunction(any, UInt32) CODEC(ZSTD(1)),
    scope_schema_url SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    attributes SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1)),
    identity SimpleAggregateFunction(any, String) CODEC(ZSTD(1)),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    batch SimpleAggregateFunction(any, UInt32) CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (tenant, metric, series_id, day)
TTL day + toIntervalDay(keep_days + 1)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
