"""A node is configured from three places, and what nobody knows or contradicts itself stops it at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from agreed.errors import ConfigurationError
from agreed.node.config import Config
from agreed.node.loading import load
from agreed.node.reference import reference
from agreed.node.values import PeerAddress


def written(directory: Path, text: str) -> Path:
    file = directory / "agreed.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_flag_wins_over_a_variable_wins_over_the_file_wins_over_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, "tick_ms = 21\nheartbeat_ms = 11\nmax_connections = 111\n")
    config = load({"heartbeat_ms": "13"}, {"AGREED_HEARTBEAT_MS": "12", "AGREED_TICK_MS": "22"}, file)
    assert (config.heartbeat_ms, config.tick_ms, config.max_connections) == (13, 22, 111)
    assert config.snapshot_entries == Config().snapshot_entries


def test_a_flag_that_was_not_given_is_no_flag() -> None:
    assert load({"heartbeat_ms": None}, {"AGREED_HEARTBEAT_MS": "12"}).heartbeat_ms == 12


def test_the_file_may_say_it_in_its_own_types(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        name = "n2"
        join = true
        election_timeout_ms = [300, 600]
        four_letter_words = ["ruok", "srvr"]
        zookeeper = 2182
        [peers]
        n1 = "10.0.0.1:7421;10.0.0.1:2181"
        n2 = "10.0.0.2:7421"
        """,
    )
    config = load({}, {}, file)
    assert config.join is True
    assert config.election_timeout_ms == (300, 600)
    assert config.four_letter_words == ("ruok", "srvr")
    assert config.zookeeper == "127.0.0.1:2182"
    assert config.peers["n1"] == PeerAddress("10.0.0.1:7421", "10.0.0.1:2181")
    assert config.listen_address == "10.0.0.2:7421"


@pytest.mark.parametrize("place", ["flag", "variable", "file"])
def test_a_misspelt_knob_is_an_error_that_names_its_relatives(place: str, tmp_path: Path) -> None:
    flags = {"hartbeat_ms": "1"} if place == "flag" else {}
    environ = {"AGREED_HARTBEAT_MS": "1"} if place == "variable" else {}
    file = written(tmp_path, "hartbeat_ms = 1") if place == "file" else None
    with pytest.raises(ConfigurationError, match=r"hartbeat_ms.*did you mean heartbeat_ms") as error:
        load(flags, environ, file)
    assert error.value.surely_not_done


def test_what_kubernetes_puts_beside_a_service_called_agreed_is_no_misspelt_knob() -> None:
    load(
        {},
        {
            "AGREED_SERVICE_HOST": "10.96.0.1",
            "AGREED_SERVICE_PORT": "2181",
            "AGREED_SERVICE_PORT_CLIENT": "2181",
            "AGREED_PORT": "tcp://10.96.0.1:2181",
            "AGREED_PORT_2181_TCP": "tcp://10.96.0.1:2181",
            "AGREED_PORT_2181_TCP_ADDR": "10.96.0.1",
            "AGREED_CONFIG": "elsewhere.toml",
            "PATH": "/bin",
        },
    )


@pytest.mark.parametrize(
    ("flags", "environ", "text", "expected"),
    [
        ({"tick_ms": "fast"}, {}, "", r"--tick-ms: 'fast' is not a whole number"),
        ({}, {"AGREED_TICK_MS": "0"}, "", r"AGREED_TICK_MS: 0 is not between"),
        ({}, {}, "tick_ms = 0.5", r"agreed\.toml: tick_ms: 0\.5 is not a whole number"),
        ({}, {}, "tick_ms =", r"agreed\.toml: not TOML"),
    ],
)
def test_a_bad_value_is_told_with_the_place_where_it_stands(
    flags: dict[str, object], environ: dict[str, str], text: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load(flags, environ, written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load({}, {}, tmp_path / "absent.toml")


def test_what_is_told_to_programs_that_use_a_cluster_is_no_misspelt_knob() -> None:
    load({}, {"AGREED_URL": "zk://10.0.0.1", "AGREED_TOKEN": "7", "AGREED_LOCK_NAME": "nightly"})


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"name": "n9", "peers": "n1=7421"}, "name"),
        ({"join": "true"}, "join"),
        ({"join": "true", "peers": "n1=7421"}, "join"),
        ({"min_session_timeout_ms": "50000"}, "min_session_timeout_ms"),
        ({"heartbeat_ms": "300"}, "heartbeat_ms"),
        ({"tls_key": "key.pem"}, "tls_certificate"),
        ({"zookeeper_tls": "2281"}, "zookeeper_tls"),
        ({"etcd_tls": "2379"}, "etcd_tls"),
        ({"peer_tls_key": "key.pem"}, "peer_tls_certificate"),
        ({"peer_tls_certificate": "chain.pem", "peer_tls_key": "key.pem"}, "peer_tls_certificate"),
        ({"super_digest": "secret"}, "super_digest"),
    ],
)
def test_a_contradiction_is_refused_by_the_name_of_its_knob(flags: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}"):
        load(flags, {})


def test_no_peers_make_a_cluster_of_one() -> None:
    config = load({"name": "alone", "listen": "7500"}, {})
    assert config.peers == {"alone": PeerAddress("127.0.0.1:7500")}
    assert config.listen_address == "127.0.0.1:7500"


def test_sessions_last_between_two_and_twenty_ticks_unless_told() -> None:
    assert load({}, {}).session_timeout_ms == (4000, 40000)
    assert load({"tick_ms": "100", "max_session_timeout_ms": "9000"}, {}).session_timeout_ms == (200, 9000)


def test_nothing_listens_beyond_this_machine_unless_told() -> None:
    config = load({}, {})
    listeners = [config.zookeeper, config.zookeeper_tls, config.etcd, config.etcd_tls]
    listeners.append(config.listen_address)
    assert all(each is None or each.startswith("127.0.0.1:") for each in listeners)


def test_secrets_are_not_shown() -> None:
    config = load({}, {"AGREED_SUPER_DIGEST": "super:D/InIHSb7yEEbrWz8b9l71RjZJU="})
    assert config.public()["super_digest"] == "(set)"
    assert "D/InIH" not in str(config.public())
    assert load({}, {}).public()["super_digest"] is None


def test_every_knob_is_in_the_reference_with_a_unit_and_a_reason() -> None:
    rows = reference().splitlines()[2:]
    assert [row.split("|")[1].strip(" `") for row in rows] == [each.name for each in fields(Config)]
    for row in rows:
        assert all(cell.strip() for cell in row.split("|")[1:-1]), row
