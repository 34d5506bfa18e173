"""OTLP/JSON as clients may write it, from messages: protobuf's own JSON with what OTLP changes.

Shares no code with the collector. With a random generator it uses every freedom the format has:
64-bit integers as numbers or text, ids in either case, members in any order, unknown members and
nulls between them.
"""

import base64
import json
import random
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

_IDS = ("traceId", "spanId")
_INTS_AS_TEXT = (
    *("timeUnixNano", "startTimeUnixNano", "asInt", "intValue", "count", "zeroCount"),
    "bucketCounts",
)


def otlp_json(message: Message, rng: random.Random | None = None) -> bytes:
    """The request as OTLP/JSON."""
    plain = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(_changed(plain, "", rng), ensure_ascii=rng is not None).encode()


def _changed(value: Any, name: str, rng: random.Random | None) -> Any:
    if isinstance(value, dict):
        members = [(key, _changed(member, key, rng)) for key, member in value.items()]
        if rng is not None:
            members += [offer for offer in _ignored(rng) if offer[0] not in value]
            rng.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        return [_changed(item, name, rng) for item in value]
    if name in _IDS:
        text = base64.b64decode(value).hex()
        return text.upper() if rng is not None and rng.random() < 0.5 else text
    if name in _INTS_AS_TEXT and isinstance(value, str) and rng is not None and rng.random() < 0.5:
        return int(value)
    return value


def _ignored(rng: random.Random) -> list[tuple[str, Any]]:
    offers: list[tuple[str, Any]] = [
        ("somethingNew", {"deep": [1, None, {"er": "x"}]}),
        ("start_time_unix_nano", "1"),
        ("time_unix_nano", 7),
        ("resource_metrics", "ignored"),
        ("flags", None),
        ("schemaUrl", None),
    ]
    return [offer for offer in offers if rng.random() < 0.1]
