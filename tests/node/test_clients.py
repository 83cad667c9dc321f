"""Clients of running nodes: by TLS and SASL, those that misbehave, and operators who ask in plain text."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_acl

from agreed.cli.playground import Playground, free_ports
from agreed.wire.zookeeper.connection import ClientConnection
from agreed.wire.zookeeper.messages import ConnectRequest, GetDataRequest
from tests.node.running import DEADLINE_S, change, client_of, log_of, running, wait_until

pytestmark = pytest.mark.timeout(180)

JAAS = """Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_alice="wonderland";
};
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    directory = tmp_path_factory.mktemp("clients")
    (directory / "jaas.conf").write_text(JAAS)
    with running(directory / "nodes", "--jaas", str(directory / "jaas.conf")) as playground:
        yield playground


@pytest.fixture(scope="module", autouse=True)
def silent(cluster: Playground) -> Iterator[socket.socket]:
    """Connects when the others begin and never says a word."""
    with opened(cluster.places["n2"].client_address) as connection:
        yield connection


def words(address: str, word: bytes) -> str:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), DEADLINE_S) as connection:
        connection.sendall(word)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode()


def opened(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 10)


def last_words(connection: socket.socket) -> bytes:
    """All that still comes until the server closes."""
    connection.settimeout(DEADLINE_S)
    heard = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            heard += piece
    return heard


def test_each_role_tells_what_it_is(cluster: Playground) -> None:
    """A loaded machine may elect another one while they are asked."""

    def each_tells_its_role() -> bool:
        modes = {name: words(place.client_address, b"srvr") for name, place in cluster.places.items()}
        leader = cluster.leader()
        return all(
            f"Mode: {'leader' if name == leader else 'follower'}" in text for name, text in modes.items()
        )

    wait_until(each_tells_its_role, "each tells what it is")
    for place in cluster.places.values():
        address = place.client_address
        assert words(address, b"ruok") == "imok"
        wait_until(lambda at=address: "zk_server_state" in words(at, b"mntr"), "mntr is answered")
        wait_until(lambda at=address: words(at, b"isro") == "rw", "it takes writes")


def test_a_node_that_only_listens_says_that_it_observes(cluster: Playground) -> None:
    name = cluster.grow()
    cluster.start(name)
    change(cluster, "add", name, "learner")
    address = cluster.places[name].client_address
    cluster.wait_until_serving(DEADLINE_S, [name])
    wait_until(lambda: "Mode: observer" in words(address, b"srvr"), "it says so")
    with client_of(address) as client:
        client.create("/through-the-observer", b"x")
        assert client.get("/through-the-observer")[0] == b"x"
    change(cluster, "remove", name, "")
    cluster.kill(name)
    del cluster.places[name]


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("garbage", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a frame of two gigabytes", struct.pack(">i", 0x7FFFFFFF) + bytes(100)),
        ("a negative length", struct.pack(">i", -5) + bytes(100)),
    ],
)
def test_who_sends_nonsense_is_dropped_with_a_line_and_alone(
    cluster: Playground, what: str, data: bytes
) -> None:
    address = cluster.places["n1"].client_address
    with client_of(address) as honest, opened(address) as connection:
        before = log_of(cluster, "n1").count("is dropped")
        connection.sendall(data)
        assert last_words(connection) == b""
        wait_until(lambda: log_of(cluster, "n1").count("is dropped") > before, "it is told in the log")
        assert honest.exists("/zookeeper") is not None


def test_who_never_reads_takes_little_memory_and_harms_nobody(cluster: Playground) -> None:
    address = cluster.places["n1"].client_address
    with client_of(address) as honest:
        honest.create("/large", b"x" * 500_000)
        before = wait_until(lambda: cluster.status_of("n1"), "it tells how large it is")
        wire = ClientConnection()
        with opened(address) as connection:
            connection.sendall(wire.connect(ConnectRequest(0, 0, 10_000, 0, bytes(16), False)))
            assert wire.receive_data(connection.recv(100))
            question = b"".join(wire.send(GetDataRequest(b"/large", False))[1] for _ in range(2_000))
            connection.settimeout(0.5)
            try:
                # A gigabyte of answers, if all were given.
                for _ in range(20):
                    connection.sendall(question)
            except (TimeoutError, ConnectionError):
                pass  # not read any further, or sent away
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert honest.get("/zookeeper")
            after = wait_until(lambda: cluster.status_of("n1"), "it tells how large it is")
            assert after.resident_bytes - before.resident_bytes < 200 * 1024 * 1024


def test_a_user_logs_in_by_sasl_and_owns_what_it_creates(cluster: Playground) -> None:
    options = {"mechanism": "DIGEST-MD5", "username": "alice", "password": "wonderland"}
    with client_of(cluster.hosts, sasl_options=options) as alice, client_of(cluster.hosts) as nobody:
        alice.create("/alices", b"secret", acl=[make_acl("sasl", "alice", all=True)])
        assert alice.get("/alices")[0] == b"secret"
        nobody.sync("/alices")
        with pytest.raises(NoAuthError):
            nobody.get("/alices")


def test_a_wrong_password_by_sasl_is_refused(cluster: Playground) -> None:
    options = {"mechanism": "DIGEST-MD5", "username": "alice", "password": "looking-glass"}
    client = KazooClient(cluster.hosts, sasl_options=options)
    with suppress(KazooTimeoutError, AuthFailedError):
        client.start(timeout=5)
    try:
        refused = "its SASL exchange failed"
        wait_until(lambda: any(refused in log_of(cluster, name) for name in cluster.places), refused)
        assert not client.connected
    finally:
        client.stop()
        client.close()


def test_who_says_nothing_is_closed(silent: socket.socket) -> None:
    assert last_words(silent) == b""


def _certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, private


def test_clients_connect_by_tls_and_without_it_only_where_that_is_served(tmp_path: Path) -> None:
    chain, private = _certificate(tmp_path)
    [port] = free_ports(1)
    flags = ["--zookeeper-tls", f"127.0.0.1:{port}", "--tls-certificate", str(chain)]
    with running(tmp_path / "nodes", *flags, "--tls-key", str(private), size=1):
        with client_of(f"127.0.0.1:{port}", use_ssl=True, ca=str(chain), verify_certs=False) as client:
            client.create("/by-tls", b"x")
            assert client.get("/by-tls")[0] == b"x"
        context = ssl.create_default_context(cafile=str(chain))
        with (
            opened(f"127.0.0.1:{port}") as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"ruok")
            assert secured.recv(100) == b"imok"
        with opened(f"127.0.0.1:{port}") as plain:
            plain.sendall(b"ruok, and more")
            assert b"imok" not in last_words(plain)
        with opened(f"127.0.0.1:{port}") as never_shakes_hands:
            assert last_words(never_shakes_hands) == b"", "kept for as long as a first word may take"
