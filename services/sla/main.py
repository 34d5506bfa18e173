"""The SLA process: SlaService, the slicer, reports, and the storers of both."""

import sys

from services.common.run import run_service
from services.common.settings import Settings

SERVICE = "sla"


async def serve_sla(settings: Settings) -> None:
    """Connect, serve and work until cancelled."""
    # After the TLS recipe of the settings: gRPC must not be imported before it.
    from services.sla.process import run

    await run(settings)


def main() -> int:
    """The process; its exit code."""
    return run_service(serve_sla, name=SERVICE)


if __name__ == "__main__":
    sys.exit(main())
