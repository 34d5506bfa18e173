-- The nanoseconds below the millisecond of a row's times, 0 where its tenant did not ask for them
-- (`timestamps: ns` in its document): `ts` and `ts_ns` together are the time as it was sent.
ALTER TABLE points
    ADD COLUMN IF NOT EXISTS ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS start_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1));
ALTER TABLE histograms
    ADD COLUMN IF NOT EXISTS ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS start_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1));
ALTER TABLE exp_histograms
    ADD COLUMN IF NOT EXISTS ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS start_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1));
ALTER TABLE summaries
    ADD COLUMN IF NOT EXISTS ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS start_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1));
ALTER TABLE exemplars
    ADD COLUMN IF NOT EXISTS ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS start_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS point_ts_ns UInt32 DEFAULT 0 CODEC(T64, ZSTD(1));
