"""Logs in storms of lost connections and crashing publishers, and mistakes that do not survive one."""
from __future__ import annotations

import asyncio

import msgspec
import pytest

from agreed.broadcast import publisher, subscription, upkeep
from agreed.broadcast.errors import LogChanged
from agreed.broadcast.layout import Extent, Settings
from agreed.client.values import SetData
from tests.broadcast.running import DEADLINE_S
from tests.broadcast.storm import Storm
from tests.client.servers import StoreServer

SETTINGS = Settings(segment_messages=8)


def storm(seed: int, *, loss: float = 0.02, crashes: float = 0.05, messages: int = 25) -> Storm:
    async def story() -> Storm:
        async with asyncio.timeout(2 * DEADLINE_S), StoreServer(seed, loss) as server:
            made = Storm(server.url, SETTINGS, seed, crashes)
            await made.run(publishers=3, subscribers=2, messages=messages)
            return made

    return asyncio.run(story())


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_doubled_or_out_of_order(seed: int) -> None:
    made = storm(seed)
    assert made.wrong() == []
    assert made.again > 0, "there was no storm"


def test_a_publisher_that_does_not_compare_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What had no answer is then said twice, and twice it happens."""
    monkeypatch.setattr(publisher, "SetData", lambda path, data, version: SetData(path, data, -1))
    assert any(storm(seed, loss=0.1, crashes=0.0, messages=15).wrong() for seed in range(5))


def test_a_reader_that_takes_a_lost_order_is_found() -> None:
    """The judge is shown a history in which two messages have changed places."""
    made = storm(7, loss=0.0, crashes=0.0, messages=10)
    assert made.wrong() == []
    given = made.given["s0"]
    given[3], given[20] = given[20], given[3]
    assert "offsets are not consecutive" in made.wrong()
    given[3], given[20] = given[20], given[3]
    taken = [each for each in made._operations if each.function == "dequeue"]
    first, later = taken[3], taken[20]
    made._operations[first.index] = msgspec.structs.replace(first, result=later.result)
    made._operations[later.index] = msgspec.structs.replace(later, result=first.result)
    assert made.wrong() == ["it is no queue"]


def test_a_reader_that_does_not_ask_what_is_packed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take what is packed for what is not published yet, and wait for ever; but it knows the end."""

    def blind(data: bytes, kind: type, path: str) -> object:
        found = upkeep.decode(data, kind, path)
        return Extent(0, 0) if isinstance(found, Extent) else found

    monkeypatch.setattr(subscription, "decode", blind)

    async def story() -> None:
        async with StoreServer() as server:
            made = Storm(server.url, SETTINGS, 0)
            made._done.set()
            await made._publish("p0", 60)
            await made._subscribe("s0")

    with pytest.raises(LogChanged):
        asyncio.run(story())
