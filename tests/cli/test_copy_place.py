"""The URLs of `agreed copy`."""
from __future__ import annotations

from pathlib import Path

import pytest

from agreed.cli.copy_place import place_of
from agreed.errors import ConfigurationError
from tests.node.certified import Certified


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("etcd://127.0.0.1", "etcd://127.0.0.1:2379"),
        ("etcd://n1:1,n2", "etcd://n1:1,n2:2379"),
        ("etcd://[::1]/app/", "etcd://[::1]:2379/app"),
        ("zookeeper://n1,n2:7/a/b", "zookeeper://n1:2181,n2:7/a/b"),
        ("etcd://n1/with%20space", "etcd://n1:2379/with space"),
    ],
)
def test_a_place_is_named_in_one_way(url: str, told: str) -> None:
    assert place_of(url).told == told


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("127.0.0.1:2379", "begins with"),
        ("redis://127.0.0.1", "begins with"),
        ("etcd://", "not host"),
        ("etcd://n1:0", "no port"),
        ("etcd://n1//x", "no path"),
        ("etcd://n1?cafile=x", "none of"),
        ("etcd://n1?user=root", "password-file"),
        ("etcd://n1?certificate=x&key=y", "needs ca"),
        ("etcd://n1?ca=x&key=y", "come together"),
        ("etcd://n1?ca=/nothing/there", "No such file"),
        ("etcd://n1?user=root&password-file=/nothing/there", "cannot be read"),
    ],
)
def test_what_is_no_place_is_told(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        place_of(url)


def test_tls_and_a_user(tmp_path: Path) -> None:
    files = Certified(tmp_path).sign("client", "alice")
    secret = tmp_path / "secret"
    secret.write_text("word\n")
    place = place_of(
        f"etcd://n1?ca={files.authority}&certificate={files.certificate}&key={files.key}&user=u&password-file={secret}"
    )
    assert place.tls is not None
    assert (place.user, place.password) == ("u", "word")
    assert "word" not in place.told
