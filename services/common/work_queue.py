"""Work queues on JetStream: one durable pull consumer on a stream with work queue retention.

Delivery is at least once and unlimited: how often something is tried, and what happens to what
never works, is the decision of whoever does the work, who sees `deliveries`.
"""

from collections.abc import Sequence

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.common.cancellation import heard_cancellation
from services.common.errors import Unavailable
from services.common.log_port import MSG_ID_HEADER, Ack
from services.common.nats_api import NatsApi, raise_api_error

_SHORTEST_FETCH_S = 0.05
_ACK_S = 5.0


class NatsWorkQueue:
    """`WorkQueue` on JetStream."""

    def __init__(self, api: NatsApi, stream: str, subscription: JetStreamContext.PullSubscription) -> None:
        self._api = api
        self._stream = stream
        self._subscription = subscription

    @classmethod
    async def open(cls, api: NatsApi, stream: str, consumer: str, *, ack_wait_s: float) -> "NatsWorkQueue":
        """Create the consumer, or join the one that is there; its limits are updated."""
        config = {
            "durable_name": consumer,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "ack_wait": round(ack_wait_s * 1e9),
            "max_deliver": -1,
            "max_ack_pending": 10_000,
        }
        body = {"stream_name": stream, "config": config}
        raise_api_error(await api.request(f"CONSUMER.DURABLE.CREATE.{stream}.{consumer}", body), stream)
        with heard_cancellation():
            bound = await api.client.jetstream().pull_subscribe_bind(consumer, stream=stream)
        return cls(api, stream, bound)

    async def publish(self, subject: str, data: bytes, *, msg_id: str, timeout_s: float = 5.0) -> Ack:
        """See `WorkQueue.publish`."""
        headers = {MSG_ID_HEADER: msg_id}
        return await self._api.publish(self._stream, subject, data, headers=headers, timeout_s=timeout_s)

    async def fetch(self, n: int, *, wait_s: float) -> Sequence["NatsJob"]:
        """See `WorkQueue.fetch`."""
        try:
            with heard_cancellation():
                messages = await self._subscription.fetch(n, timeout=max(wait_s, _SHORTEST_FETCH_S))
        except TimeoutError:
            return []
        except (nats.errors.Error, OSError) as err:
            raise Unavailable(
                f"the log does not hand out work of {self._stream}", reason="LOG_UNAVAILABLE"
            ) from err
        return [NatsJob(message) for message in messages]


class NatsJob:
    """`Job` on JetStream."""

    def __init__(self, message: Msg) -> None:
        self._message = message

    @property
    def subject(self) -> str:
        """See `Job.subject`."""
        return self._message.subject

    @property
    def data(self) -> bytes:
        """See `Job.data`."""
        return self._message.data

    @property
    def deliveries(self) -> int:
        """See `Job.deliveries`."""
        return self._message.metadata.num_delivered or 1

    async def ack(self) -> None:
        """See `Job.ack`. Unavailable: it may be handed out again."""
        try:
            with heard_cancellation():
                await self._message.ack_sync(timeout=_ACK_S)
        except (nats.errors.Error, OSError) as err:
            raise Unavailable("the log did not confirm an ack", reason="LOG_UNAVAILABLE") from err

    async def retry(self, delay_s: float) -> None:
        """See `Job.retry`. Lost with the connection it comes again after the ack wait."""
        with heard_cancellation():
            await self._message.nak(delay=delay_s)

    async def drop(self, reason: str) -> None:  # noqa: ARG002 - recorded by the caller
        """See `Job.drop`. An acknowledgement: a termination would leave it in the stream."""
        await self.ack()

    async def in_progress(self) -> None:
        """See `Job.in_progress`."""
        with heard_cancellation():
            await self._message.in_progress()
