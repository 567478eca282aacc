"""The same server behind TLS."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.http.conftest import Echo, Running, Serve

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
MIB = 1 << 20


@dataclass
class Pair:
    cert: Path
    key: Path
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Pair(cert_file, key_file, ssl.create_default_context(cafile=cert_file))


@pytest.fixture
def running(serve: Serve, echo: Echo, pair: Pair) -> Running:
    return serve(echo, tls_cert=pair.cert, tls_key=pair.key, threads=1, handshake_seconds=1)


def test_requests_and_answers_pass_through_tls(running: Running, pair: Pair, echo: Echo) -> None:
    wire = running.connect(tls=pair.trusting)
    for size in (0, 5, 20_000, 3 * MIB):
        body = bytes(range(256)) * (size // 256)
        assert wire.ask(PUT % len(body) + body).body == body
    assert echo.environs[0]["wsgi.url_scheme"] == "https"


def test_bytes_that_tls_has_decrypted_ahead_are_not_forgotten(running: Running, pair: Pair) -> None:
    """Many requests in one TLS record: the system knows of none but the first."""
    wire = running.connect(tls=pair.trusting)
    wire.send(GET * 200)
    assert [wire.answer().status for _ in range(200)] == [200] * 200
    wire.send(GET[:10])
    wire.send(GET[10:] + PUT % 3 + b"end")
    assert [wire.answer().body for _ in range(2)] == [b"", b"end"]


def test_silent_tls_clients_stall_nobody_and_are_dropped(running: Running, pair: Pair) -> None:
    silent = [running.connect() for _ in range(30)]
    started = time.monotonic()
    for _ in range(5):
        assert running.connect(tls=pair.trusting).ask(GET).status == 200
    assert time.monotonic() - started < 20  # one after the other they would take a second each
    assert all(wire.is_closed() for wire in silent)


def test_a_handshake_that_stops_half_way_stalls_nobody(running: Running, pair: Pair) -> None:
    halves = [running.connect() for _ in range(10)]
    for wire in halves:
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00")
    assert running.connect(tls=pair.trusting).ask(GET).status == 200
    assert all(wire.is_closed() for wire in halves)


def test_plain_http_on_the_tls_port_is_told_so(running: Running) -> None:
    answer = running.connect().ask(GET)
    assert (answer.status, answer.body) == (400, b"This port speaks TLS only.\n")


def test_noise_on_the_tls_port_is_dropped(running: Running, pair: Pair) -> None:
    wire = running.connect()
    wire.send(b"\x00" * 100)
    with contextlib.suppress(ConnectionResetError):
        assert b"HTTP" not in wire.rest()
    assert running.connect(tls=pair.trusting).ask(GET).status == 200


def test_a_body_cut_off_inside_tls_raises(running: Running, pair: Pair, echo: Echo) -> None:
    wire = running.connect(tls=pair.trusting)
    wire.send(PUT % 10 + b"hello")
    time.sleep(0.1)
    wire.socket.close()
    assert echo.failed.wait(30)
    assert not echo.bodies


def test_an_unread_body_inside_tls_lets_the_client_see_the_answer(serve: Serve, refuse: Echo, pair: Pair) -> None:
    wire = serve(refuse, tls_cert=pair.cert, tls_key=pair.key).connect(tls=pair.trusting)
    assert wire.ask(PUT % 100_000 + b"x" * 100_000).status == 401
    wire.send(PUT % (20 * MIB), *[bytes(MIB)] * 20)
    answer = wire.answer()
    assert (answer.status, answer.fields["connection"]) == (401, "close")
    assert wire.is_closed()


def test_an_answer_cut_short_is_not_taken_for_a_whole_one(serve: Serve, pair: Pair) -> None:
    def app(environ: object, start_response: object) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "10")])  # type: ignore[operator]
        return [b"short"]

    wire = serve(app, tls_cert=pair.cert, tls_key=pair.key).connect(tls=pair.trusting)
    with pytest.raises((OSError, EOFError)):
        wire.ask(GET)


def test_old_tls_is_refused(running: Running, pair: Pair) -> None:
    old = ssl.create_default_context(cafile=pair.cert)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(running.address) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")
