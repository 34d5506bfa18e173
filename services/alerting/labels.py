"""Identity of an alert: its labels and their fingerprint, as Alertmanager computes it."""

from services.alerting.model import Labels

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_MASK = (1 << 64) - 1
_SEPARATOR = b"\xff"


def fingerprint(labels: Labels) -> str:
    """64-bit FNV-1a over the sorted labels, 16 hex digits.

    Source: `labelSetToFingerprint` of prometheus/common `model/signature.go`: name, 0xff, value,
    0xff for each label in order of its name.
    """
    state = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + _SEPARATOR + labels[name].encode() + _SEPARATOR:
            state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return f"{state:016x}"


def group_text(labels: Labels) -> str:
    """`{name="value", ...}` sorted by name, as Alertmanager writes group labels."""
    pairs = ", ".join(f'{name}="{_escape(labels[name])}"' for name in sorted(labels))
    return "{" + pairs + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
