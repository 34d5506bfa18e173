"""How the commands find a running threenines and sign in.

A laptop's `threenines up` leaves `state.json` and an administrator's token in its data directory;
anywhere else the address and the token come from the environment (THREENINES_<SERVICE>_ADDRESS,
THREENINES_TOKEN; THREENINES_CA_FILE turns TLS on).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.common.errors import FailedPrecondition
from services.embedded.layout import DataDir

_OPTIONS = (("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_retries", 1))


@dataclass(frozen=True, slots=True)
class Connection:
    """Addresses and a credential.

    Attributes:
        addresses: `host:port` or URL by the names of layout.STANDARD_PORTS.
        token: the bearer token, or None where authentication is off.
        ca_file: the certificate authority of the servers; None means plaintext, for a laptop.
    """

    addresses: Mapping[str, str]
    token: str | None
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"Connection({dict(self.addresses)!r}, token=***)"

    def channel(self, service: str) -> grpc.Channel:
        """A channel to one of our services; TLS where a certificate authority is named."""
        if self.ca_file is None:
            return grpc.insecure_channel(self.address(service), options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self.ca_file.read_bytes())
        return grpc.secure_channel(self.address(service), credentials, options=_OPTIONS)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What signs a call: pass it as `metadata=` to every RPC."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def address(self, name: str) -> str:
        """Where a service or engine listens.

        Raises:
            FailedPrecondition: no address is known for it.
        """
        try:
            return self.addresses[name]
        except KeyError:
            raise FailedPrecondition(
                f"no address is known for {name}",
                reason="ADDRESS_UNKNOWN",
                next_step=f"set THREENINES_{name.upper()}_ADDRESS, or point --data-dir at one that runs",
            ) from None


def connect(data_dir: Path, environ: Mapping[str, str]) -> Connection:
    """Find the running threenines of `data_dir`; the environment wins.

    Raises:
        FailedPrecondition: nothing runs there and the environment names no address.
    """
    named = {
        key.removeprefix("THREENINES_").removesuffix("_ADDRESS").lower(): value
        for key, value in environ.items()
        if key.startswith("THREENINES_") and key.endswith("_ADDRESS")
    }
    files = DataDir(data_dir)
    token = environ.get("THREENINES_TOKEN")
    ca_file = Path(environ["THREENINES_CA_FILE"]) if environ.get("THREENINES_CA_FILE") else None
    if files.state_file.exists():
        state = json.loads(files.state_file.read_text())
        if token is None and files.admin_token_file.exists():
            token = files.admin_token()
        return Connection({**state["connect"], **named}, token, ca_file)
    if not named:
        raise FailedPrecondition(
            f"no threenines runs on {data_dir}",
            reason="NOT_RUNNING",
            next_step="start one with `threenines up`, or set THREENINES_SLA_ADDRESS, "
            "THREENINES_ALERTING_ADDRESS, ... and THREENINES_TOKEN",
        )
    return Connection(named, token, ca_file)
