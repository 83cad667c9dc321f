"""`agreed certs`: what it makes is accepted by the TLS library, in its place and nowhere else."""
from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agreed.cli import certificates
from agreed.cli.certs import command
from agreed.errors import ConfigurationError


def certs(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def made(directory: Path, *flags: str) -> Path:
    result = certs("init", directory, *flags)
    assert result.exit_code == 0, result.output
    return directory


def refused(*arguments: object) -> str:
    result = certs(*arguments)
    assert isinstance(result.exception, ConfigurationError), result.output
    return str(result.exception)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> dict[str, object]:
    """Both sides in memory; the certificate that the server was shown.  Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    dialling = client.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = [dialling, accepting]
    for turn in range(20):
        try:
            waiting[turn % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
    accepting.do_handshake()
    dialling.do_handshake()
    return accepting.getpeercert() or {}


def side(directory: Path, purpose: int, name: str, authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}-key.pem")
    context.load_verify_locations(directory / authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("server", "client", "authority", "good"),
    [
        ("server", "client", "ca.pem", True),
        ("peer", "peer", "peer-ca.pem", True),
        ("peer", "operator", "peer-ca.pem", True),
        ("peer", "client", "peer-ca.pem", False),
        ("peer", "server", "peer-ca.pem", False),
        ("server", "peer", "ca.pem", False),
        ("server", "server", "ca.pem", False),
        ("client", "client", "ca.pem", False),
        ("operator", "peer", "peer-ca.pem", False),
    ],
)
def test_each_certificate_is_good_for_its_own_purpose(
    server: str, client: str, authority: str, good: bool, tmp_path: Path
) -> None:
    made(tmp_path)
    accepting = side(tmp_path, ssl.PROTOCOL_TLS_SERVER, server, authority)
    dialling = side(tmp_path, ssl.PROTOCOL_TLS_CLIENT, client, authority)
    dialling.check_hostname = server in ("server", "peer")
    if good:
        assert handshake(accepting, dialling, "127.0.0.1")["subject"] == ((("commonName", client),),)
    else:
        with pytest.raises(ssl.SSLError):
            handshake(accepting, dialling, "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("n1.example", True),
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("n2.example", False),
        ("127.0.0.1", False),
    ],
)
def test_a_server_is_who_it_was_made_for(host: str, named: bool, tmp_path: Path) -> None:
    made(tmp_path, "--hosts", "n1.example,10.0.0.1,[fd00::1]")
    accepting = side(tmp_path, ssl.PROTOCOL_TLS_SERVER, "server", "ca.pem")
    dialling = side(tmp_path, ssl.PROTOCOL_TLS_CLIENT, "client", "ca.pem")
    if named:
        handshake(accepting, dialling, host)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(accepting, dialling, host)


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = made(tmp_path / "new")
    keys = sorted(directory.glob("*-key.pem"))
    assert len(keys) == 6
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_nothing_is_overwritten_unless_it_is_renewed(tmp_path: Path) -> None:
    made(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert "is not overwritten" in refused("init", tmp_path)
    assert "is not overwritten" in refused("issue", tmp_path, "client", "client")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert certs("issue", tmp_path, "client", "client", "--replace").exit_code == 0
    changed = {file.name for file in tmp_path.iterdir() if before[file] != file.read_bytes()}
    assert changed == {"client.pem", "client-key.pem"}


def test_a_lost_authority_is_not_made_anew_in_silence(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "ca.pem").unlink()
    assert "ca-key.pem" in refused("init", tmp_path)


@pytest.mark.parametrize("name", ["ca", "peer-ca", "x-key", "../elsewhere", ".hidden", ""])
def test_a_name_must_do_for_a_file_of_its_own(name: str, tmp_path: Path) -> None:
    made(tmp_path)
    assert "name of a file" in refused("issue", tmp_path, "client", name)


def test_one_more_client_is_known_by_its_name(tmp_path: Path) -> None:
    made(tmp_path)
    assert certs("issue", tmp_path, "client", "alice").exit_code == 0
    accepting = side(tmp_path, ssl.PROTOCOL_TLS_SERVER, "server", "ca.pem")
    dialling = side(tmp_path, ssl.PROTOCOL_TLS_CLIENT, "alice", "ca.pem")
    assert handshake(accepting, dialling, "localhost")["subject"] == ((("commonName", "alice"),),)


def test_a_server_has_hosts_and_an_authority_has_to_be_there(tmp_path: Path) -> None:
    assert "--hosts" in refused("issue", tmp_path, "server", "n4")
    assert "certs init" in refused("issue", tmp_path, "server", "n4", "--hosts", "n4")
    assert "neither a host name" in refused("init", tmp_path / "other", "--hosts", "bücher.example")


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, certificates.__name__)
    monkeypatch.delattr("agreed.cli.certificates")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert "agreed[security]" in refused("init", tmp_path)
