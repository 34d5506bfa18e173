"""Which application serves a path of the HTTP port. Knows nothing of what they do."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from services.collector.otlp_http import Send
from services.collector.otlp_http_body import Receive, Scope

AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpRoutes:
    """Applications by exact path; `default` serves, or refuses, every other."""

    def __init__(self, routes: Mapping[str, AsgiApp], default: AsgiApp) -> None:
        self._routes = routes
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._routes.get(scope["path"], self._default)(scope, receive, send)
