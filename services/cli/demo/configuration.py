"""The three companies of the demonstration and what they were promised."""

from dataclasses import dataclass

_CONTRACT = """\
kind: Tenant
metadata: {{name: {tenant}}}
spec: {{display_name: {title}}}
---
kind: Contract
metadata: {{tenant: {tenant}, name: gold}}
spec:
  time_zone: {zone}
  effective_from: 2026-01-01
  slice: 10s
  objectives:
    - name: availability
      type: availability
      target: "99.9%"
      window: 30d
      metric: http.server.request.duration
    - name: latency-p95
      type: latency
      target: "2s"
      quantile: "0.95"
      window: 30d
      metric: http.server.request.duration
    - name: monthly
      type: availability
      target: "99.9%"
      window: month
      metric: http.server.request.duration
  credits:
    objective: monthly
    base_fee: "1000.00"
    currency: EUR
    tiers:
      - {{below: "99.9%", credit: 10%}}
      - {{below: "99%", credit: 25%}}
---
kind: Receiver
metadata: {{tenant: {tenant}, name: on-call}}
spec: {{type: webhook, url: "{url}", send_resolved: true}}
"""


@dataclass(frozen=True, slots=True)
class CompanyPlan:
    """One company: how its SDK is configured, by the standard variables."""

    tenant: str
    title: str
    zone: str
    environ: tuple[tuple[str, str], ...]

    def documents(self, webhook_url: str) -> str:
        """Its tenant, contract and receiver as YAML."""
        return _CONTRACT.format(tenant=self.tenant, title=self.title, zone=self.zone, url=webhook_url)


_EXPONENTIAL = (
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "base2_exponential_bucket_histogram",
)
_DELTA = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")

COMPANIES = (
    CompanyPlan("acme", "Acme Ltd", "Europe/London", (_EXPONENTIAL,)),
    CompanyPlan("globex", "Globex SA", "Europe/Berlin", (_EXPONENTIAL, _DELTA)),
    CompanyPlan("initech", "Initech Inc", "America/New_York", ()),
)
FAULTY = "globex"
