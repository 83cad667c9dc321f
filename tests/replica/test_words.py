"""The four-letter words, as one node answers them of itself."""

from __future__ import annotations

from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.replica.words import Surroundings
from agreed.store.records import OPEN_ACL
from agreed.wire.zookeeper import four_letter
from agreed.wire.zookeeper.messages import CreateMode, CreateRequest, GetDataRequest
from tests.replica.alone import Alone

ALL = frozenset(word.decode() for word in four_letter.SERVED)


def answer(node: Alone, word: bytes, identifier: int = 900) -> str:
    """Whoever asks is answered in plain text and closed."""

    class Ear:
        def __init__(self) -> None:
            self.connection = self
            self.replies: list[bytes] = []
            self.closed = False
            self.paused = False

        def receive_data(self, data: bytes) -> list[bytes]:
            return [data]

    ear = Ear()
    node.clients[identifier] = ear  # type: ignore[assignment]
    node.turn(events.ClientOpened(identifier, "127.0.0.1", 1))
    node.turn(events.ClientBytes(identifier, word))
    assert ear.closed
    del node.clients[identifier]
    return b"".join(ear.replies).decode()


def test_a_node_alone_says_so() -> None:
    node = Alone(Settings(four_letter_words=ALL))
    assert answer(node, b"ruok") == "imok"
    assert answer(node, b"isro") == "rw"
    assert "Mode: standalone" in answer(node, b"srvr")
    assert "zk_znode_count" in answer(node, b"mntr")


def test_one_that_has_no_leader_says_that_it_does_not_serve() -> None:
    node = Alone(Settings(four_letter_words=ALL), members=("n1", "n2", "n3"))
    assert answer(node, b"ruok") == "imok", "it lives"
    assert "not currently serving" in answer(node, b"srvr")


def test_a_word_that_is_not_allowed_is_not_answered() -> None:
    node = Alone(Settings(four_letter_words=frozenset({"ruok"})))
    assert "not in the whitelist" in answer(node, b"mntr")


def test_sessions_connections_and_watches_are_told() -> None:
    node = Alone(Settings(four_letter_words=ALL))
    client = node.client()
    client.ask(CreateRequest(b"/e", b"", OPEN_ACL, CreateMode.EPHEMERAL), GetDataRequest(b"/e", True))
    [lease] = [f"{lease.id:x}" for lease in node.replica.store.leases]
    assert lease in answer(node, b"dump")
    assert "/e" in answer(node, b"dump")
    assert lease in answer(node, b"cons")
    assert lease in answer(node, b"wchc")
    assert "/e" in answer(node, b"wchp")
    assert "1 connections watching 1 paths" in answer(node, b"wchs")


def test_what_the_machine_tells_is_passed_on() -> None:
    surroundings = Surroundings(7, 1024, "/data", 5_000, (("host.name", "here"),))
    node = Alone(Settings(four_letter_words=ALL), surroundings=lambda: surroundings)
    assert "zk_open_file_descriptor_count\t7" in answer(node, b"mntr")
    assert "host.name=here" in answer(node, b"envi")
    assert "dataDir=/data" in answer(node, b"conf")


def test_counters_begin_anew_where_asked() -> None:
    node = Alone(Settings(four_letter_words=ALL))
    client = node.client()
    client.ask(CreateRequest(b"/a", b"", OPEN_ACL, CreateMode.PERSISTENT))
    node.replica.zookeeper.sent_total = 12_345
    answer(node, b"srst")
    assert node.replica.zookeeper.sent_total < 12_345
    assert node.replica.requests.latency_ms() == (0, 0.0, 0)
