"""HTTP POST to receivers: the only importer of the HTTP client in alerting."""

from collections.abc import Mapping

import httpx

from services.alerting.ports import HttpAnswer
from services.common.errors import Unavailable

TIMEOUT_S = 10.0


class HttpxPoster:
    """`HttpPoster` over httpx: no redirects, no proxies from the environment, ten seconds in all."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """See `HttpPoster.post`."""
        try:
            answer = await self._client.post(url, content=body, headers=dict(headers))
        except httpx.HTTPError as err:
            text = f"{type(err).__name__}: {err}"[:300]
            raise Unavailable(text, reason="RECEIVER_UNREACHABLE") from err
        return HttpAnswer(answer.status_code, answer.headers.get("retry-after"))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()
