"""A real ZooKeeper, which is right, and a tested server, on which the same scripts are played.

A difference that comes and goes may be upkeep that took an emptied container away in the middle of the script
(ours looks for them every second, a real server every minute), or a change of mind of the reference alone
(pipelined access list changes race inside ZooKeeper).
"""

from __future__ import annotations

import time

from tests.acceptance.requests import Create, Multi
from tests.differential.comparison import Pair, Played
from tests.differential.zookeeper.compare import PeerTraits, differences, normal_form
from tests.differential.zookeeper.generate import Generator
from tests.differential.zookeeper.play import Player, play_on_both
from tests.differential.zookeeper.script import Send, ZooKeeperScript


class ZooKeeperPair(Pair[ZooKeeperScript]):
    """`reference_port` is the server that is right.  The root of a script is `/{prefix}` and a number."""

    def __init__(
        self,
        reference_port: int,
        port: int,
        traits: PeerTraits,
        *,
        prefix: str = "d",
        timeout_s: float = 10.0,
    ) -> None:
        self._traits = traits
        self._prefix = prefix
        self._played = 0
        self._left = Player(reference_port, timeout_s=timeout_s)
        self._right = Player(port, timeout_s=timeout_s)

    def draw(self, seed: str) -> ZooKeeperScript:
        return Generator(seed, self._traits).script()

    def read(self, data: bytes) -> ZooKeeperScript:
        return ZooKeeperScript.from_json(data)

    def play(self, script: ZooKeeperScript, *, patient: bool = False) -> Played:
        """There is nothing to be patient for: a server says what it has to say before its next answer."""
        self._played += 1
        play_on_both(self._left, self._right, script, f"/{self._prefix}{self._played}")
        ended_ms = int(time.time() * 1000)
        left, right = (
            normal_form(player, script, event_zxids=self._traits.event_zxids, ended_ms=ended_ms)
            for player in (self._left, self._right)
        )
        return Played(differences(left, right), right)

    def excuse(self, script: ZooKeeperScript, *, same_answers: bool) -> str | None:
        if same_answers:
            return "only the reference had changed its mind"
        return "a container was swept away in between" if makes_a_container(script) else None


def makes_a_container(script: ZooKeeperScript) -> bool:
    requests = [request for step in script.steps if isinstance(step, Send) for request in step.requests]
    parts = [part for request in requests if isinstance(request, Multi) for part in request.operations]
    creations = [request for request in (*requests, *parts) if isinstance(request, Create)]
    return any(creation.flags == 4 for creation in creations)
