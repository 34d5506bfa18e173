-- Number points: gauges and sums. Integers and doubles stay apart.
-- start: milliseconds, the epoch when the sender gave none (bits & 1). bits & 2: start equals time on the
-- nanosecond, so the start is unknown. batch: low 32 bits of the first log sequence of the batch that
-- wrote the row; recovery counts rows by it. keep_days: full days after the row's own until it may go, by
-- tenant; the rows of a day and tenant go together.
-- Codecs are measured (tests/bench/bench_storage.py). Series of one second have equal runs of batches, some
-- tens of series apart: large blocks let ZSTD find them; only recovery reads that column. ALP is exact; the
-- setting that allows it counts at creation alone. merge_selector_base: each row is merged less often, at the
-- price of a few dozen more parts.
CREATE TABLE IF NOT EXISTS points (
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    metric_id UInt32 CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    start DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    bits UInt8 CODEC(ZSTD(1)),
    batch UInt32 CODEC(DoubleDelta, ZSTD(1)) SETTINGS (min_compress_block_size = 4194304, max_compress_block_size = 4194304),
    keep_days UInt16 DEFAULT 30 CODEC(ZSTD(1)),
    kind Enum8('none' = 0, 'int' = 1, 'double' = 2) CODEC(ZSTD(1)),
    value_int Int64 CODEC(Delta(8), T64('bit'), ZSTD(1)),
    value_double Float64 CODEC(ALP, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(ts)
ORDER BY (tenant, metric_id, series_id, ts)
TTL toDate(ts) + toIntervalDay(keep_days + 1)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    enable_alp_codec = 1,
    merge_selector_base = 10;
