"""Bodies from pieces of memory: what arrives is the pieces, whatever their sizes and types."""

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from services.common.http_pieces import PiecesPayload

LARGE = np.arange(700_000, dtype=np.uint64)
MEDIUM = np.arange(3_000, dtype=np.int64)
CASES = {
    "nothing": [b""],
    "one small piece": [b"abc"],
    "a large one": [LARGE.data],
    "small ones around large ones": [b"a", MEDIUM.data, b"", b"b", LARGE.data, b"c", b"d", MEDIUM.data, b"e"],
}


@pytest.mark.parametrize("pieces", CASES.values(), ids=CASES)
async def test_the_pieces_arrive_as_one_body_with_its_length(pieces: list[bytes | memoryview]) -> None:
    seen: list[tuple[str | None, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Content-Length"), await request.read()))
        return web.Response()

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"http://127.0.0.1:{port}/", data=PiecesPayload(pieces))
        assert answer.status == 200
    await runner.cleanup()

    whole = b"".join(bytes(piece) for piece in pieces)
    assert seen == [(str(len(whole)), whole)]
