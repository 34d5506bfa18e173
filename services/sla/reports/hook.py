"""A report as a webhook: one JSON body, signed as Standard Webhooks says
(https://www.standardwebhooks.com). Pure, but for the time in the signature."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from services.sla.reports.canonical import time_text
from services.sla.reports.formats import MEDIA_TYPES, file_name
from services.sla.reports.mail import Parcel

TYPE = "sla.report.issued"


def body_of(parcel: Parcel) -> bytes:
    """The body: what the report is, and its documents; the same bytes for every attempt."""
    record = parcel.record
    facts = record.facts
    data = {
        "name": f"tenants/{record.tenant}/reports/{record.report}",
        "tenant": record.tenant,
        "contract": record.contract,
        "period": {
            "label": record.period.label,
            "start_time": time_text(record.period.start_ms),
            "end_time": time_text(record.period.end_ms),
        },
        "revision": record.revision,
        "replaces": record.replaces,
        "verdict": facts.verdict if facts else "",
        "content_sha256": facts.content_sha256 if facts else "",
        "documents": [
            {
                "format": chosen.value,
                "media_type": MEDIA_TYPES[chosen],
                "file_name": file_name(record.tenant, record.report, chosen),
                "sha256": hashlib.sha256(content).hexdigest(),
                "content_base64": base64.b64encode(content).decode(),
            }
            for chosen, content in parcel.documents
        ],
    }
    message = {"type": TYPE, "timestamp": time_text(record.at_ms), "data": data}
    return json.dumps(message, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def headers_of(key: str, body: bytes, *, secret: bytes | None, now_s: int) -> Mapping[str, str]:
    """Headers of one attempt. Without a secret there is no signature."""
    headers = {
        "content-type": "application/json",
        "idempotency-key": key,
        "webhook-id": key,
        "webhook-timestamp": str(now_s),
    }
    if secret is not None:
        signed = hmac.new(secret, f"{key}.{now_s}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return headers
