"""The names of every metric that the suite reports about itself.

A misspelt name is a type error. Names follow the OpenTelemetry conventions: dotted, lower case,
the unit not in the name. Each comment says what is counted and with which labels.
"""

from typing import Literal, get_args

CounterName = Literal[
    # points that arrived in requests; tenant
    "collector.points.received",
    # points that the log has and the sender was told so; tenant
    "collector.points.acknowledged",
    # points refused, each once; tenant, reason
    "collector.points.rejected",
    # points whose rows are in ClickHouse; tenant
    "collector.points.stored",
    # points skipped because their request was stored before; tenant
    "collector.points.deduplicated",
    # records of the log, or requests in them, that could not be written; tenant, reason
    "collector.deadletters",
    # series that found their id owned by another, each once; tenant
    "collector.series.collisions",
    # export requests; tenant, outcome
    "collector.requests",
    # requests refused unread because too much is under way; transport, reason
    "collector.requests.refused",
    # points of requests that failed as a whole, to be sent again; tenant, reason
    "collector.points.failed",
    # accepted points that the writer found in the log, resends included; tenant
    "collector.points.logged",
    # requests whose rate nobody checked, because the token buckets are away; reason
    "collector.quota.unchecked",
    # series let in uncounted, while the owner of the count is away; tenant
    "collector.series.uncounted",
    # accepted points in the dead-letter stream, because they could not be written; tenant
    "collector.points.deadlettered",
    # records appended to the log; none
    "collector.records.appended",
    # batches by outcome: done, skipped, repeated, failed; outcome
    "collector.batches",
    # rows inserted; table
    "collector.rows.inserted",
    # slices published, provisional and sealed ones; tenant, sealed
    "sla.slices.published",
    # sums of hours published; tenant
    "sla.hours.published",
    # times that an objective could not be computed, because of a defect; tenant
    "sla.objectives.failed",
    # slices whose revision went up because of late data; tenant
    "sla.slices.reopened",
    # series that two processes write at a time, each once; tenant
    "sla.series.overlapping",
    # figures served; rpc
    "sla.figures.served",
    # figures found instead of computed; where (process or cache)
    "sla.cache.hits",
    # figures computed because they were nowhere; none
    "sla.cache.misses",
    # questions to the figure cache without a usable answer; reason
    "sla.cache.errors",
    # evaluations of a rule; tenant
    "alerting.evaluations",
    # evaluations that failed; tenant, reason
    "alerting.evaluations.failed",
    # state transitions; tenant, to
    "alerting.transitions",
    # attempts to notify a receiver; tenant, outcome
    "alerting.notifications",
    # backups by outcome; outcome
    "dr.backups",
    # restores by outcome; outcome
    "dr.restores",
    # verifications by outcome; outcome
    "dr.verifications",
    # records that a storer wrote to ClickHouse; stream
    "common.records.stored",
    # calls that were answered with an error; code, reason
    "common.rpc.errors",
    # retries of anything; operation
    "common.retries",
]

GaugeName = Literal[
    # log records not yet written to ClickHouse; none
    "collector.log.lag",
    # log time up to which everything is stored, Unix seconds; none
    "collector.watermark",
    # seconds of log time behind the newest record; none
    "collector.watermark.age",
    # seconds of log time from the oldest to the newest record not yet written; tenant
    "collector.tenant.lag",
    # accepted points in the log that are not yet written; tenant
    "collector.points.unread",
    # series counted against the quota; tenant
    "collector.series.active",
    # APPLIED records not yet sliced; none
    "sla.applied.lag",
    # seconds of the past that are still to be filled in or computed again; tenant, objective
    "sla.backfill.remaining",
    # objectives that a defect keeps from being computed; none
    "sla.objectives.failing",
    # SLICES records not yet evaluated; none
    "alerting.slices.lag",
    # notifications waiting; none
    "alerting.notify.pending",
    # 1 while this process reports, so that its silence can be told from idleness; none
    "common.up",
    # 1 while this process holds the lease; lease
    "common.lease.held",
]

HistogramName = Literal[
    # seconds from a unary call's arrival to its answer; method, code
    "common.rpc.duration",
    # seconds of a statement of ClickHouse; kind (read, insert, command), outcome (ok, failed)
    "common.clickhouse.duration",
    # seconds from the first byte to the answer; outcome
    "collector.export.duration",
    # seconds for one batch, read to published; none
    "collector.batch.duration",
    # seconds to compute the slices of one APPLIED record; none
    "sla.slice.duration",
    # seconds from the slice's end to the POST; none
    "alerting.notify.delay",
    # seconds for one backup; none
    "dr.backup.duration",
]

COUNTER_NAMES: tuple[CounterName, ...] = get_args(CounterName)
GAUGE_NAMES: tuple[GaugeName, ...] = get_args(GaugeName)
HISTOGRAM_NAMES: tuple[HistogramName, ...] = get_args(HistogramName)
