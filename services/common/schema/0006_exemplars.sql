-- Exemplars of points. ts is the exemplar's own time, which nobody checks; point_ts is the time of the
-- point that carried it and decides partition and retention. filtered_attributes: a serialised
-- opentelemetry.proto.common.v1.KeyValueList sorted by key; filtered_texts: the same as text, for people.
CREATE TABLE IF NOT EXISTS exemplars (
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    metric_id UInt32 CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    start DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    bits UInt8 CODEC(ZSTD(1)),
    batch UInt32 CODEC(DoubleDelta, ZSTD(1)) SETTINGS (min_compress_block_size = 4194304, max_compress_block_size = 4194304),
    keep_days UInt16 DEFAULT 30 CODEC(ZSTD(1)),
    point_ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    kind Enum8('none' = 0, 'int' = 1, 'double' = 2) CODEC(ZSTD(1)),
    value_int Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    value_double Float64 CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    filtered_attributes String CODEC(ZSTD(1)),
    filtered_texts Map(String, String) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(point_ts)
ORDER BY (tenant, metric_id, series_id, ts)
TTL toDate(point_ts) + toIntervalDay(keep_days + 1)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
