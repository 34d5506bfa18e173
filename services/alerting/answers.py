"""What to do with a receiver's answer: a pure table.

2xx is accepted. 408, 425, 429 and 5xx come again, after Retry-After where the receiver names it.
Everything else will not get better by asking again and is dead, with its reason. Redirects are
not followed: a receiver that moved must be configured anew.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random

from services.alerting.ports import HttpAnswer

_RETRYABLE = frozenset({408, 425, 429})
_LONGEST_ASKED_S = 86_400.0
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0


class Outcome(StrEnum):
    """What became of one attempt."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome with its reason; `delay_s` is the wait before the next attempt of RETRY."""

    outcome: Outcome
    reason: str
    delay_s: float = 0.0
    asked_s: float | None = None


def judge_answer(answer: HttpAnswer | None, *, attempt: int, now_ns: int, rng: Random) -> Judgement:
    """Judge an attempt; `answer` is None when there was none (refused, reset, timed out)."""
    if answer is None:
        return Judgement(Outcome.RETRY, "NO_ANSWER", backoff_s(attempt, rng))
    status = answer.status
    if 200 <= status < 300:
        return Judgement(Outcome.ACCEPTED, "ACCEPTED")
    if status in _RETRYABLE or status >= 500:
        asked_s = retry_after_s(answer.retry_after, now_ns=now_ns)
        if asked_s is not None:
            return Judgement(Outcome.RETRY, "RETRY_AFTER", asked_s, asked_s)
        return Judgement(Outcome.RETRY, f"HTTP_{status}", backoff_s(attempt, rng))
    return Judgement(Outcome.DEAD, f"NOT_RETRYABLE_{status}")


def backoff_s(attempt: int, rng: Random) -> float:
    """Doubling from one second to a minute, the upper half of it at random."""
    ceiling_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt - 1, 10))
    return rng.uniform(ceiling_s / 2, ceiling_s)


def retry_after_s(text: str | None, *, now_ns: int) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or as an HTTP date (RFC 9110,
    10.2.3); at most a day, None when it is absent or unreadable."""
    if text is None:
        return None
    # Not isdigit: it takes the superscript two of Latin-1 for a digit, and float does not.
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_ASKED_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, moment.timestamp() - now_ns / 1e9), _LONGEST_ASKED_S)
