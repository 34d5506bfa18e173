"""What alerting is configured with: its part of the suite's settings, and its own variables.

The only module of alerting that sees the environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.common.environment import EnvironmentReader, process_environment
from services.common.settings import Settings


@dataclass(frozen=True, slots=True)
class AlertingConfig:
    """`external_url` is where people reach this installation: shown in notifications, may be
    empty. `post_timeout_s` bounds one POST; a job whose worker died comes again `ack_wait_s` after
    it was handed out. After `takeover_s` without a sign of life another process takes over.
    `secrets` are the environment's values for receivers' `headers_from_env`.
    """

    settings: Settings
    external_url: str = ""
    post_timeout_s: int = 10
    takeover_s: int = 10
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ack_wait_s(self) -> float:
        """Longer than a POST can take, or a slow receiver would get every message twice."""
        return self.post_timeout_s + 5.0

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> "AlertingConfig":
        """Raises ConfigurationError that names every bad variable."""
        found = process_environment() if environ is None else environ
        reader = EnvironmentReader(found)
        external_url = reader.url("THREENINES_EXTERNAL_URL", "", schemes=("http", "https"))
        post_timeout_s = reader.integer("THREENINES_POST_TIMEOUT_S", 10, low=1, high=14)
        takeover_s = reader.integer("THREENINES_TAKEOVER_S", 10, low=3, high=120)
        reader.finish()
        return cls(settings, external_url.rstrip("/"), post_timeout_s, takeover_s, found)
