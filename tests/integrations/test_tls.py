"""The token goes to nobody who cannot show a certificate."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integrations.conftest import Whmcs


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """Somebody with a certificate of his own making: his port, and what he was told."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers.get("authorization", ""))

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path / "cert.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, heard
    server.shutdown()
    server.server_close()


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_token_is_sent(whmcs: Whmcs, stranger: tuple[int, list[str]]) -> None:
    port, heard = stranger
    whmcs.server(port=port, secure="on", hostname="localhost")
    told = whmcs.page("TestConnection", server=1)
    assert not told["success"]
    assert "certificate" in told["error"]
    service = whmcs.ordered()
    assert "nothing is lost" in whmcs.call("CreateAccount", service)["result"]
    assert heard == []


def test_the_token_does_not_cross_a_network_in_the_clear(whmcs: Whmcs) -> None:
    whmcs.server(hostname="vzq.example.net")
    assert "tick Secure" in whmcs.page("TestConnection", server=1)["error"]


@pytest.mark.parametrize(
    ("hostname", "password", "sentence"),
    [("", "vzq_x", "no vzq server is set up"), ("a b/../c", "vzq_x", "no vzq server is set up"), ("localhost", "", "has no token")],
)
def test_a_server_that_is_not_set_up_is_told_so(whmcs: Whmcs, hostname: str, password: str, sentence: str) -> None:
    whmcs.server(hostname=hostname, password=password)
    assert sentence in whmcs.page("TestConnection", server=1)["error"]
    assert sentence in whmcs.call("CreateAccount", whmcs.ordered())["result"]


def _self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
