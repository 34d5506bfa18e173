"""HTTP POST to receivers: the only importer of the HTTP client in alerting."""

import asyncio
from collections.abc import Mapping

import httpx

from services.alerting.ports import HttpAnswer
from services.common.errors import Unavailable

TIMEOUT_S = 10.0


class HttpxPoster:
    """`HttpPoster` over httpx: no redirects, no proxies from the environment.

    `timeout_s` is for all of it: the client's own limits are for each step, and a receiver that
    answers a byte at a time would hold a notification longer than its job is ours.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """See `HttpPoster.post`. The answer's body is nobody's business and is not read."""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", url, content=body, headers=dict(headers)) as answer,
            ):
                return HttpAnswer(answer.status_code, answer.headers.get("retry-after"))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as err:
            text = f"{type(err).__name__}: {err}"[:300]
            raise Unavailable(text, reason="RECEIVER_UNREACHABLE") from err

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()
