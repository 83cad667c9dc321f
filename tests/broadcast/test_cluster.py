"""A log on a real cluster whose leader is killed, and the synchronous face."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from agreed import broadcast, client
from agreed.broadcast import Settings
from agreed.cli.playground import Playground
from tests.acceptance.cluster import ZooKeeperEnsemble
from tests.broadcast.running import DEADLINE_S
from tests.broadcast.storm import Storm
from tests.node.running import running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("three")) as made:
        yield made


def test_the_leader_is_killed_and_nothing_is_lost_doubled_or_out_of_order(cluster: Playground) -> None:
    async def kill_leaders(made: Storm) -> None:
        for goal in (30, 120):
            while sum(made.published.values()) < goal:
                await asyncio.sleep(0.005)
            leader = await asyncio.to_thread(cluster.leader)
            if leader is None:
                continue
            cluster.kill(leader)
            await asyncio.sleep(0.1)
            cluster.start(leader)
            await asyncio.to_thread(cluster.wait_until_serving, DEADLINE_S)

    async def story() -> Storm:
        made = Storm(f"agreed://{cluster.hosts}", Settings(segment_messages=20), 1, crashes=0.02)
        async with asyncio.timeout(3 * DEADLINE_S):
            await asyncio.gather(made.run(publishers=3, subscribers=2, messages=80), kill_leaders(made))
        return made

    assert asyncio.run(story()).wrong() == []


@pytest.fixture(scope="module")
def zookeeper() -> Iterator[ZooKeeperEnsemble]:
    with ZooKeeperEnsemble(1) as made:
        yield made


@pytest.mark.parametrize(
    "system", ["cluster", pytest.param("zookeeper", marks=pytest.mark.peer("zookeeper"))]
)
def test_threads_publish_and_a_loop_reads(system: str, request: pytest.FixtureRequest) -> None:
    with client.connect(f"agreed://{request.getfixturevalue(system).hosts}") as session:
        log = broadcast.open_log(session, "/threads", Settings(retain_messages=1_000, segment_messages=10))
        assert (log.path, log.settings.retain_messages) == ("/threads", 1_000)
        offsets: list[int] = []
        with log.publisher("shared") as publisher:

            def publish() -> None:
                for _ in range(10):
                    offsets.append(publisher.publish(b"x"))

            threads = [threading.Thread(target=publish) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE_S)
            assert sorted(offsets) == list(range(50))
            assert publisher.publish_many([b"a", b"b"]) == [50, 51]
            assert publisher.publish_once(publisher.last_number, b"again") is None
            publisher.flush()
            assert (publisher.name, publisher.last_number) == ("shared", 52)
        subscription = log.subscribe(consumer="reader")
        given = []
        for message in subscription:
            given.append(message.offset)
            if message.payload == b"b":
                break
        assert given == list(range(52))
        with pytest.raises(TimeoutError):
            subscription.next(0.05)
        subscription.commit()
        assert log.subscribe(consumer="reader").position == 52
        subscription.seek(7)
        log.trim(10)
        log.tidy()
        with pytest.raises(broadcast.Gap):
            subscription.next(DEADLINE_S)
        assert (log.first(), log.end(), log.read(51)[0].payload) == (10, 52, b"b")
