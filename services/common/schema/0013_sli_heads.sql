-- How far each objective is: its first slice, the end of the last and of the last sealed one, and the newest
-- record of SLICES that is stored. Written after the rows that it tells of, so it never runs ahead of them:
-- a figure is good for as long as its head is the same, whichever process stored the slices.
CREATE TABLE IF NOT EXISTS sli_heads (
    tenant LowCardinality(String),
    objective String,
    first_ms SimpleAggregateFunction(min, Int64),
    end_ms SimpleAggregateFunction(max, Int64),
    sealed_ms SimpleAggregateFunction(max, Int64),
    known_ms SimpleAggregateFunction(max, Int64),
    seq SimpleAggregateFunction(max, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (tenant, objective)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    index_granularity = 256;

INSERT INTO sli_heads
SELECT
    tenant,
    objective,
    min(toUnixTimestamp64Milli(slice_start)),
    max(toUnixTimestamp64Milli(slice_start) + intDiv(length_ns, 1000000)),
    maxIf(toUnixTimestamp64Milli(slice_start) + intDiv(length_ns, 1000000), sealed),
    max(toUnixTimestamp64Milli(known_at)),
    max(seq)
FROM sli_slices
GROUP BY tenant, objective;
