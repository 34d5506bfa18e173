"""Servers of processes with a certificate speak TLS 1.3 and nothing older, whatever kind of key they have."""

import contextlib
import os
import socket
import ssl
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.environment import ConfigurationError
from services.common.tls import CIPHERS_VARIABLE, refuse_tls12, unservable_suite

SERVICE = """
import sys
from services.common.auth import Authenticator, TokenTable
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server, run_until_signal
from services.common.run import run_service

async def main(settings):
    health = HealthRegistry(SystemClock())
    async def usable(): pass
    health.add_probe("usable", usable)
    server = build_server(config=settings.server_config("127.0.0.1:0"),
        authenticator=Authenticator(settings.auth, TokenTable(), environment=settings.environment),
        health=health, service_names=[])
    print(bound_port(server), flush=True)
    await run_until_signal(server, drain_s=0, health=health)

sys.exit(run_service(main, name="sample"))
"""
ECDSA = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
RSA = ["-newkey", "rsa:2048"]


def certificate(folder, key_kind):
    """A self-signed certificate for localhost: (certificate file, key file)."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", *key_kind, *names]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60)
    return cert, key


@contextlib.contextmanager
def service(cert, key, **environ):
    """A production service as a process: yields it and its port."""
    files = {"THREENINES_TLS_CERT_FILE": str(cert), "THREENINES_TLS_KEY_FILE": str(key)}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        env={**os.environ, **files, "THREENINES_ENVIRONMENT": "production", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield process, int(line) if line else 0
    finally:
        process.kill()
        process.communicate()


def handshake(port, version):
    """The version that a client gets who speaks only this one; None when it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) as secure,
        ):
            return secure.version()
    except (ssl.SSLError, ConnectionError):
        return None


def health_of(port, cert):
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        request = health_pb2.HealthCheckRequest()
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=20, wait_for_ready=True).status


@pytest.mark.parametrize("key_kind", [ECDSA, RSA], ids=["ecdsa", "rsa"])
def test_only_tls_13_is_served(tmp_path, key_kind):
    cert, key = certificate(tmp_path, key_kind)
    with service(cert, key) as (_, port):
        assert health_of(port, cert) == health_pb2.HealthCheckResponse.SERVING
        assert handshake(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert handshake(port, ssl.TLSVersion.TLSv1_2) is None
        refuse_tls12("127.0.0.1", port)


def test_a_server_that_would_serve_tls_12_does_not_stay_up(tmp_path):
    cert, key = certificate(tmp_path, ECDSA)
    with service(cert, key, **{CIPHERS_VARIABLE: "ECDHE-ECDSA-AES256-GCM-SHA384"}) as (process, _):
        _, err = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "accepts TLS 1.2" in err
    assert "Traceback" not in err


def test_a_server_that_asks_for_client_certificates_is_probed_just_as_well(tmp_path):
    cert, key = certificate(tmp_path, ECDSA)
    weak = {CIPHERS_VARIABLE: "ECDHE-ECDSA-AES256-GCM-SHA384", "THREENINES_TLS_CLIENT_CA_FILE": str(cert)}
    with service(cert, key, **weak) as (process, _):
        _, err = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "accepts TLS 1.2" in err


def test_a_key_of_another_certificate_is_told_without_a_traceback(tmp_path):
    (tmp_path / "other").mkdir()
    cert, _ = certificate(tmp_path, ECDSA)
    _, key = certificate(tmp_path / "other", ECDSA)
    with service(cert, key) as (process, _):
        _, err = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "certificate and key cannot be used" in err
    assert "Traceback" not in err


def test_production_without_a_certificate_does_not_start():
    with service("", "") as (process, _):
        _, err = process.communicate(timeout=30)

    assert process.returncode == 78
    assert "THREENINES_TLS_CERT_FILE and THREENINES_TLS_KEY_FILE" in err


def test_a_suite_is_chosen_that_the_key_cannot_serve(tmp_path):
    ecdsa, _ = certificate(tmp_path, ECDSA)
    assert "RSA" in unservable_suite(ecdsa.read_bytes())
    rsa, _ = certificate(tmp_path, RSA)
    assert "ECDSA" in unservable_suite(rsa.read_bytes())


def test_the_probe_tells_a_server_that_accepts_tls_12(tmp_path):
    cert, key = certificate(tmp_path, ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = subprocess.Popen(
            [sys.executable, "-c", PROBE, str(listener.getsockname()[1])], stdout=subprocess.PIPE, text=True
        )
        plain, _ = listener.accept()
        with plain, contextlib.suppress(ssl.SSLError, ConnectionError):
            context.wrap_socket(plain, server_side=True).close()
        told, _ = worker.communicate(timeout=30)

    assert told.strip() == ConfigurationError.__name__


PROBE = """
import sys
from services.common.tls import refuse_tls12
try:
    refuse_tls12("127.0.0.1", int(sys.argv[1]))
except Exception as err:
    print(type(err).__name__)
"""
