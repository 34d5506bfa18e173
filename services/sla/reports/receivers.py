"""Receivers of webhooks as the applied configuration names them, with the secrets of the environment."""

from collections.abc import Callable, Mapping

from services.common.auth import PLATFORM_TENANT
from services.common.config_feed import ConfigFeed
from services.common.documents_alerting import ReceiverSpec
from services.sla.reports.send import HookConfig


def receivers_of(feed: ConfigFeed, secrets: Mapping[str, str]) -> Callable[[str, str], HookConfig | None]:
    """Finds a receiver by tenant and name: the tenant's own, else one of the platform."""

    def find(tenant: str, name: str) -> HookConfig | None:
        found = {one.tenant: one.spec for one in feed.specs(ReceiverSpec) if one.name == name}
        for owner in (tenant, PLATFORM_TENANT, None):
            if owner in found:
                return _config(found[owner], secrets)
        return None

    return find


def _config(spec: ReceiverSpec, secrets: Mapping[str, str]) -> HookConfig:
    headers = {header: secrets[name] for header, name in spec.headers_from_env.items() if name in secrets}
    secret = secrets.get(spec.secret_from_env or "")
    return HookConfig(spec.url, headers, None if secret is None else secret.encode())
