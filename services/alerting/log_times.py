"""How far log time has come for each tenant: that of the shard of the slicer that computes its slices.

Pure; part of the state that a snapshot holds.
"""

from dataclasses import dataclass, field

from services.alerting.model import SlicesMessage
from services.common.shards import shard_of


@dataclass(slots=True)
class LogTimes:
    """Log time by shard, none of which ever goes back.

    shards: into how many the tenants are divided. latest_ns: the latest log time of any of them; when their
    number changes, it is where all of the new ones begin.
    """

    shards: int = 1
    latest_ns: int = 0
    by_shard: dict[int, int] = field(default_factory=dict)
    base_ns: int = 0

    def of(self, tenant: str) -> int:
        """Log time of one tenant."""
        shard = 0 if self.shards == 1 else shard_of(tenant, self.shards)
        return self.by_shard.get(shard, self.base_ns)

    def concerns(self, message: SlicesMessage, tenant: str) -> bool:
        """Whether the message moves the tenant's log time."""
        return message.shards == 1 or shard_of(tenant, message.shards) == message.shard

    def moved(self, message: SlicesMessage) -> tuple[int, int]:
        """Take the watermark of a message; log time of its shard (before, now)."""
        if message.shards != self.shards:
            self.shards, self.by_shard, self.base_ns = message.shards, {}, self.latest_ns
        before = self.by_shard.get(message.shard, self.base_ns)
        now = max(before, message.watermark_ns)
        self.by_shard[message.shard] = now
        self.latest_ns = max(self.latest_ns, now)
        return before, now

    def as_list(self) -> list[int]:
        """Shards, base, then the time of each shard: how a snapshot keeps it."""
        times = [self.by_shard.get(shard, self.base_ns) for shard in range(self.shards)]
        return [self.shards, self.base_ns, *times]

    @staticmethod
    def from_list(kept: list[int], *, latest_ns: int) -> "LogTimes":
        """Inverse of `as_list`; an empty list is that of a snapshot from before there were shards."""
        if not kept:
            return LogTimes(latest_ns=latest_ns, by_shard={0: latest_ns}, base_ns=latest_ns)
        shards, base_ns, *times = kept
        return LogTimes(shards, latest_ns, dict(enumerate(times)), base_ns)
