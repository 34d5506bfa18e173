"""TLS 1.3 only, with a library that cannot be told so.

gRPC for Python has no setting for the lowest TLS version (grpc#37305). It does take a list of
TLS 1.2 cipher suites, from the environment, before its native part is loaded: one suite that the
server's kind of key cannot serve leaves TLS 1.2 without any, while TLS 1.3 has suites of its own.
Since that is a trick, a server asks itself for TLS 1.2 after its start and does not stay up when
it gets it. This module must not import gRPC.
"""

import base64
import os
import re
import socket
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from services.common.environment import ConfigurationError
from services.common.settings import ServerConfig

CIPHERS_VARIABLE = "GRPC_SSL_CIPHER_SUITES"

_FOR_RSA_KEYS_ONLY = "ECDHE-RSA-AES256-GCM-SHA384"
_FOR_ECDSA_KEYS_ONLY = "ECDHE-ECDSA-AES256-GCM-SHA384"
# DER of the object identifier rsaEncryption (RFC 8017 A.1), as it stands in the key of a certificate.
_RSA_KEY_OID = bytes.fromhex("06092a864886f70d010101")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)

_HANDSHAKE_RECORD = 22  # RFC 5246 6.2.1: what a ServerHello comes in; a refusal is an alert (21)
_PROBE_TIMEOUT_S = 5.0


def unservable_suite(certificate_pem: bytes) -> str:
    """A TLS 1.2 suite that the key of this certificate can never serve."""
    match = _PEM.search(certificate_pem)
    leaf = base64.b64decode(b"".join(match[1].split())) if match else b""
    return _FOR_ECDSA_KEYS_ONLY if _RSA_KEY_OID in leaf else _FOR_RSA_KEYS_ONLY


def restart_for_tls13(certificate: Path, environ: Mapping[str, str]) -> None:
    """Start this process anew with the suite in its environment, unless there is one already.

    The program is replaced in place (same process id, same arguments), because gRPC reads the
    variable while it is imported, and by now it may have been. Call it before anything is open.
    """
    if environ.get(CIPHERS_VARIABLE):
        return
    prepared = {**environ, CIPHERS_VARIABLE: unservable_suite(certificate.read_bytes())}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], prepared)  # noqa: S606 - ourselves


def read_identity(config: ServerConfig) -> tuple[bytes, bytes, bytes | None]:
    """The (key, certificate chain, client authorities) of a server, checked to fit each other.

    Raises ConfigurationError that names the file; the key never shows.
    """
    assert config.tls_cert_file is not None
    assert config.tls_key_file is not None
    try:
        checked = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # An empty password keeps OpenSSL from asking for one on the terminal.
        checked.load_cert_chain(config.tls_cert_file, config.tls_key_file, password="")
        if config.tls_client_ca_file is not None:
            checked.load_verify_locations(config.tls_client_ca_file)
        authorities = None if config.tls_client_ca_file is None else config.tls_client_ca_file.read_bytes()
        return config.tls_key_file.read_bytes(), config.tls_cert_file.read_bytes(), authorities
    except ssl.SSLError as err:
        files = f"{config.tls_cert_file}, {config.tls_key_file}"
        raise ConfigurationError(f"certificate and key cannot be used ({err.reason}): {files}") from err
    except OSError as err:
        names = [config.tls_cert_file, config.tls_key_file, config.tls_client_ca_file]
        shown = ", ".join(str(name) for name in names if name is not None)
        raise ConfigurationError(f"cannot read a certificate or key: {err.strerror}: {shown}") from err


def refuse_tls12(host: str, port: int) -> None:
    """Raise ConfigurationError when the server at host:port answers TLS 1.2; blocking, in a thread.

    It sends a ClientHello for TLS 1.2 and looks at the first record that comes back: a ServerHello
    means yes, whatever would happen later in the handshake (a demand for client certificates).
    """
    with socket.create_connection((host, port), timeout=_PROBE_TIMEOUT_S) as connection:
        connection.sendall(_client_hello_12())
        first = connection.recv(1)
    if first and first[0] == _HANDSHAKE_RECORD:
        raise ConfigurationError(
            f"this server accepts TLS 1.2; start it through run_service, or set {CIPHERS_VARIABLE} to a suite"
            f" that its key cannot serve ({_FOR_RSA_KEYS_ONLY} for an ECDSA key)",
            field=CIPHERS_VARIABLE,
        )


def _client_hello_12() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake cannot end without an answer")
