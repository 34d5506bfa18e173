-- Exact sums of the sealed slices of whole UTC hours, one row an hour: counts and durations added, distributions
-- merged. Read like sli_slices, whose columns these are: long windows read hours instead of 360 slices each.
-- Small granules: a window of 30 days is 720 rows of one objective.
CREATE TABLE IF NOT EXISTS sli_hours (
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    objective String CODEC(ZSTD(1)),
    slice_start DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    length_ns Int64 CODEC(ZSTD(1)),
    good Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    total Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    up_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    degraded_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    down_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    excluded_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    no_data_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    not_started_ns Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    distribution Enum8('none' = 0, 'exponential' = 1, 'explicit' = 2) CODEC(ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    offset Int32 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(ZSTD(1)),
    counts Array(UInt64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    sealed Bool CODEC(ZSTD(1)),
    revision UInt32 CODEC(ZSTD(1)),
    known_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    seq UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(seq)
PARTITION BY toYYYYMM(slice_start)
ORDER BY (tenant, objective, slice_start, revision)
TTL toDateTime(slice_start) + INTERVAL 25 MONTH
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    ttl_only_drop_parts = 1,
    index_granularity = 1024;
