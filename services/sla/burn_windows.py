"""Over which windows an objective's burn rate is told: those of its alert rules, else defaults."""

from services.common.config_feed import ConfigFeed
from services.common.documents_alerting import BurnRateRule
from services.sla.figures_burn import default_windows_ms
from services.sla.model import NS_PER_MS, Objective


class BurnWindows:
    """Read from the configuration feed when asked. Rules of no tenant are for every tenant."""

    def __init__(self, feed: ConfigFeed) -> None:
        self._feed = feed
        self._seq = -1
        self._named: dict[tuple[str | None, str], set[int]] = {}

    def of(self, objective: Objective) -> tuple[int, ...]:
        """Lengths in ms, ascending, whole slices."""
        if self._seq != self._feed.seq:
            # Sequences move with every record of the stream, so this is asked often and done rarely.
            self._seq = self._feed.seq
            self._named = {}
            for document in self._feed.specs(BurnRateRule):
                windows = {document.spec.long.ns // NS_PER_MS, document.spec.short.ns // NS_PER_MS}
                self._named.setdefault((document.tenant, document.spec.objective), set()).update(windows)
        named = [self._named.get((tenant, objective.key), set()) for tenant in (objective.tenant, None)]
        whole = {length // objective.slice_ms * objective.slice_ms for one in named for length in one}
        return tuple(sorted(whole - {0})) or default_windows_ms(objective)
