"""Handshakes on loopback, with the event loop that nodes use: who is let in, who is believed, and what a
changed file does."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from kazoo.retry import KazooRetry

from agreed.cli import certificates
from agreed.cli.operator import NoAnswer, status
from agreed.errors import ConfigurationError
from agreed.node.tls import (
    ALPN_ETCD,
    CertificateFiles,
    common_name,
    distinguished_name,
    of_caller,
    of_peers,
    of_server,
)
from tests.node.certified import Certified
from tests.node.running import agreed, client_of, leading, log_of, playground, running, wait_until

Log = list[tuple[str, str]]


def run(coroutine: Coroutine[object, object, None]) -> None:
    async def within_its_time() -> None:
        async with asyncio.timeout(60):
            await coroutine

    uvloop.run(within_its_time())


def quiet(level: str, sentence: str) -> None:
    pass


def writing_into(log: Log):  # type: ignore[no-untyped-def]
    return lambda level, sentence: log.append((level, sentence))


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Tells whoever gets in the common name of the certificate he has shown; the port."""

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        writer.write(((certificate and common_name(certificate)) or "nobody").encode() + b"\n")
        writer.close()

    server = await asyncio.start_server(tell, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def greeted(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> tuple[str, ssl.SSLObject]:
    """What the server says; raises ssl.SSLError where one of the two does not want the other."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    except ConnectionError as error:
        raise ssl.SSLError("reset in the handshake") from error
    try:
        said = await reader.readline()
        if not said:
            raise ssl.SSLError("closed without a word")
        return said.decode().strip(), writer.get_extra_info("ssl_object")
    except ConnectionError as error:
        raise ssl.SSLError("reset without a word") from error
    finally:
        writer.transport.abort()


def trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


# --- clients ------------------------------------------------------------------------------------------------


def test_a_client_is_who_its_certificate_says(tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    context = of_server(ours.sign("server", "server"), quiet)

    async def story() -> None:
        async with serving(context) as port:
            assert (await greeted(port, of_caller(ours.sign("client", "alice"), quiet)))[0] == "alice"

    run(story())


def test_without_an_authority_clients_need_no_certificate(tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    context = of_server(ours.sign("server", "server")._replace(authority=None), quiet)

    async def story() -> None:
        async with serving(context) as port:
            assert (await greeted(port, trusting(ours.ca)))[0] == "nobody"

    run(story())


@pytest.mark.parametrize("who", ["without one", "of another authority", "expired", "of a server"])
def test_a_client_is_refused(who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Certified(tmp_path / "ours"), Certified(tmp_path / "theirs")
    context = of_server(ours.sign("server", "server"), quiet)
    if who == "without one":
        caller = trusting(ours.ca)
    elif who == "of another authority":
        caller = of_caller(theirs.sign("client", "alice")._replace(authority=ours.ca), quiet)
    elif who == "expired":
        monkeypatch.setattr(certificates, "BACKDATED", datetime.timedelta(days=3))
        caller = of_caller(ours.sign("client", "alice", days=-1), quiet)
    else:
        caller = of_caller(ours.sign("server", "alice"), quiet)

    async def story() -> None:
        async with serving(context) as port:
            with pytest.raises(ssl.SSLError):
                await greeted(port, caller)

    run(story())


def test_etcd_clients_are_offered_both_protocols(tmp_path: Path) -> None:
    """Who could do with either is no client of gRPC: it is given the one that has pages."""
    ours = Certified(tmp_path / "ours")
    context = of_server(ours.sign("server", "server")._replace(authority=None), quiet, ALPN_ETCD)

    async def story() -> None:
        async with serving(context) as port:
            for offered, chosen in (
                (["h2"], "h2"),
                (["http/1.1"], "http/1.1"),
                (["h2", "http/1.1"], "http/1.1"),
                ([], None),
            ):
                caller = trusting(ours.ca)
                if offered:
                    caller.set_alpn_protocols(offered)
                _, connection = await greeted(port, caller)
                assert connection.selected_alpn_protocol() == chosen

    run(story())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    context = of_server(ours.sign("server", "server")._replace(authority=None), quiet)

    async def story() -> None:
        async with serving(context) as port:
            for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
                caller = trusting(ours.ca)
                caller.set_ciphers("ALL:@SECLEVEL=0")
                caller.minimum_version = ssl.TLSVersion.TLSv1
                caller.maximum_version = version
                if spoken:
                    assert (await greeted(port, caller))[1].version() == "TLSv1.2"
                else:
                    with pytest.raises(ssl.SSLError):
                        await greeted(port, caller)

    run(story())


# --- peers --------------------------------------------------------------------------------------------------


def test_peers_prove_to_each_other_who_they_are(tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    peers = of_peers(ours.sign("peer", "n1"), quiet)
    assert peers.accepting is not None
    assert peers.dialling is not None

    async def story() -> None:
        assert peers.accepting is not None
        assert peers.dialling is not None
        async with serving(peers.accepting) as port:
            assert (await greeted(port, peers.dialling))[0] == "n1"

    run(story())


@pytest.mark.parametrize("wrong", ["host", "authority", "expired", "kind"])
def test_a_dialled_peer_that_is_somebody_else_is_not_spoken_to(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Certified(tmp_path / "ours"), Certified(tmp_path / "theirs")
    dialling = of_caller(ours.sign("peer", "n1"), quiet)
    if wrong == "host":
        other = ours.sign("peer", "n2", ("127.0.0.2", "n2.example"))
    elif wrong == "authority":
        other = theirs.sign("peer", "n2")._replace(authority=ours.ca)
    elif wrong == "expired":
        monkeypatch.setattr(certificates, "BACKDATED", datetime.timedelta(days=3))
        other = ours.sign("peer", "n2", days=-1)
    else:
        other = ours.sign("operator", "n2")
    accepting = of_peers(other, quiet).accepting
    assert accepting is not None

    async def story() -> None:
        assert accepting is not None
        async with serving(accepting) as port:
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeted(port, dialling)

    run(story())


# --- changed files ------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_used_from_the_next_handshake_on(tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    log: Log = []
    context = of_server(ours.sign("server", "server")._replace(authority=None), writing_into(log))

    async def story() -> None:
        async with serving(context) as port:
            seen = set()
            for _ in range(2):
                _, connection = await greeted(port, trusting(ours.ca))
                seen.add(connection.getpeercert()["serialNumber"])  # type: ignore[index]
            assert len(seen) == 1
            ours.sign("server", "server")
            _, connection = await greeted(port, trusting(ours.ca))
            assert connection.getpeercert()["serialNumber"] not in seen  # type: ignore[index]

    run(story())
    assert [level for level, _ in log] == ["info"]


def test_another_authority_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    ours, theirs = Certified(tmp_path / "ours"), Certified(tmp_path / "theirs")
    context = of_server(ours.sign("server", "server"), quiet)
    before = of_caller(ours.sign("client", "alice"), quiet)
    kept = tmp_path / "kept.pem"
    kept.write_bytes(ours.ca.read_bytes())
    after = of_caller(theirs.sign("client", "bob")._replace(authority=kept), quiet)

    async def story() -> None:
        async with serving(context) as port:
            assert (await greeted(port, before))[0] == "alice"
            with pytest.raises(ssl.SSLError):
                await greeted(port, after)
            ours.ca.write_bytes(theirs.ca.read_bytes())
            assert (await greeted(port, after))[0] == "bob"

    run(story())


@pytest.mark.parametrize("damage", ["nonsense", "gone", "key of another"])
def test_what_cannot_be_used_leaves_what_was_and_is_told_once(damage: str, tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    files = ours.sign("server", "server")._replace(authority=None)
    log: Log = []
    context = of_server(files, writing_into(log))

    async def story() -> None:
        async with serving(context) as port:
            if damage == "nonsense":
                files.certificate.write_text("nothing that is PEM")
            elif damage == "gone":
                files.key.unlink()
            else:
                files.key.write_bytes(ours.sign("server", "other").key.read_bytes())
            for _ in range(3):
                assert (await greeted(port, trusting(ours.ca)))[0] == "nobody"
            assert [level for level, _ in log] == ["error"]
            ours.sign("server", "server")
            await greeted(port, trusting(ours.ca))
            assert [level for level, _ in log] == ["error", "info"]

    run(story())


@pytest.mark.parametrize(
    ("broken", "told"),
    [("certificate", "PEM"), ("key", "PEM"), ("authority", "PEM"), ("nothing there", "No such")],
)
def test_what_cannot_be_used_at_the_start_is_told(broken: str, told: str, tmp_path: Path) -> None:
    ours = Certified(tmp_path / "ours")
    files = ours.sign("server", "server")._asdict()
    if broken in files:
        files[broken] = tmp_path / "nonsense.pem"
        (tmp_path / "nonsense.pem").write_text("nothing that is PEM")
    else:
        files["certificate"] = tmp_path / "nothing.pem"
    with pytest.raises(ConfigurationError, match=told):
        of_server(CertificateFiles(**files), quiet)


# --- names --------------------------------------------------------------------------------------------------


def test_names_of_a_subject() -> None:
    parts = (("countryName", "CH"), ("organizationName", "A, B"), ("commonName", "alice"))
    subject = {"subject": tuple((part,) for part in parts)}
    assert distinguished_name(subject) == "CN=alice,O=A\\, B,C=CH"
    assert common_name(subject) == "alice"
    assert common_name({"subject": ((("countryName", "CH"),),)}) is None
    two = {"subject": ((("commonName", "root"),), (("commonName", "alice"),))}
    assert common_name(two) == "alice", "as etcd, or a certificate would be root's here and alice's there"


# --- a whole cluster ----------------------------------------------------------------------------------------


def test_three_nodes_that_speak_tls_to_each_other(tmp_path: Path) -> None:
    """A leader dies and comes back while the certificate is renewed; who has none is not spoken to."""
    ours = Certified(tmp_path / "ours")
    files = ours.sign("peer", "peer")
    flags = ["--peer-tls-certificate", str(files.certificate), "--peer-tls-key", str(files.key)]
    operator = of_caller(ours.sign("operator", "operator"), quiet)
    with running(tmp_path / "nodes", *flags, "--peer-tls-ca", str(ours.ca), tls=operator) as cluster:
        leader = leading(cluster)
        with client_of(cluster.hosts) as client:
            client.create("/before", b"")
            cluster.kill(leader)
            ours.sign("peer", "peer")
            KazooRetry(max_tries=-1)(client.ensure_path, "/without")
            cluster.start(leader)
            cluster.wait_until_serving(60)
            assert client.exists("/before")
        others = [log_of(cluster, name) for name in cluster.places if name != leader]
        assert all("has changed and is used" in log for log in others)
        assert not any("no TLS with" in log for log in others)

        address = cluster.places[leader].peer_address
        with pytest.raises(NoAnswer, match="TLS"):
            status(address, 10)
        stranger = Certified(tmp_path / "theirs").sign("operator", "operator")._replace(authority=ours.ca)
        with pytest.raises(NoAnswer):
            status(address, 10, of_caller(stranger, quiet))
        proof = ["--peer-tls-certificate", str(ours.directory / "operator.pem")]
        proof += ["--peer-tls-key", str(ours.directory / "operator-key.pem"), "--peer-tls-ca", str(ours.ca)]
        asked = agreed(cluster, "status", *proof)
        assert asked.returncode == 0, asked.stdout + asked.stderr


def test_a_peer_that_is_signed_by_somebody_else_is_told(tmp_path: Path) -> None:
    """Both sides say no; the one that dials says why, once."""
    ours, theirs = Certified(tmp_path / "ours"), Certified(tmp_path / "theirs")
    with playground(tmp_path / "nodes", size=2) as cluster:
        for name, authority in (("n1", ours), ("n2", theirs)):
            files = authority.sign("peer", name)
            cluster.flags = ["--peer-tls-certificate", str(files.certificate)]
            cluster.flags += ["--peer-tls-key", str(files.key), "--peer-tls-ca", str(authority.ca)]
            cluster.start(name)
        wait_until(lambda: "no TLS with n1" in log_of(cluster, "n2"), "n2 says what is wrong")
        wait_until(lambda: "no TLS with n2" in log_of(cluster, "n1"), "n1 says what is wrong")
        assert "CERTIFICATE_VERIFY_FAILED" in log_of(cluster, "n1")
