"""Retrying with jittered exponential delays, bounded by a deadline.

The only place in the tree that sleeps in order to try again. It does not decide what may be
retried: the caller says so, because only the caller knows whether the operation is idempotent.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.common.clock import Clock
from services.common.errors import ThreeninesError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to keep trying.

    The delay before retry k (from 0) is uniform in [0, min(max_delay_s, initial_delay_s *
    multiplier^k)] ("full jitter", AWS Architecture Blog 2015), and at least what the error itself
    asks for. No retry starts later than `deadline_s` after the first attempt began.
    """

    initial_delay_s: float = 0.1
    max_delay_s: float = 5.0
    multiplier: float = 2.0
    deadline_s: float = 30.0
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        if self.initial_delay_s <= 0 or self.max_delay_s < self.initial_delay_s or self.multiplier < 1:
            raise ValueError("a retry policy needs 0 < initial_delay_s <= max_delay_s and multiplier >= 1")

    def ceiling_s(self, retry_index: int) -> float:
        """The longest jittered delay before retry `retry_index` (from 0), in seconds."""
        # Beyond 64 doublings every policy is at its ceiling, and the power would overflow.
        grown = self.initial_delay_s * self.multiplier ** min(retry_index, 64)
        return min(self.max_delay_s, grown)


def asks_for_retry(error: BaseException) -> bool:
    """The default for `retryable`: errors of ours that name a delay."""
    return isinstance(error, ThreeninesError) and error.retry_after_s is not None


async def retry(
    op: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    clock: Clock,
    rng: random.Random,
    retryable: Callable[[BaseException], bool] = asks_for_retry,
) -> T:
    """The result of `op`, tried again while `retryable(error)` and the policy allows it.

    Raises the last error unchanged when the time or the attempts run out, or when it is not
    retryable. Cancellation is never retried.
    """
    deadline_ns = clock.monotonic_ns() + round(policy.deadline_s * 1e9)
    attempt = 0
    while True:
        try:
            return await op()
        except Exception as err:  # what is worth a retry is for `retryable` to say
            if not retryable(err):
                raise
            delay_s = max(rng.uniform(0.0, policy.ceiling_s(attempt)), _asked_delay_s(err))
            attempt += 1
            spent = policy.max_attempts is not None and attempt >= policy.max_attempts
            if spent or clock.monotonic_ns() + round(delay_s * 1e9) > deadline_ns:
                raise
        await clock.sleep(delay_s)


def _asked_delay_s(error: Exception) -> float:
    asked = error.retry_after_s if isinstance(error, ThreeninesError) else None
    return asked or 0.0
