"""A real etcd, which is right, and a tested server, on which the same scripts are played.

Both do the same all the time, so their revisions stay together.  What is told late by a watch is looked for
once more some scripts later, and then the history behind that script is compacted away.

A difference that comes and goes may be a change of mind of the reference alone: when it is busy, its watches
from the past are cancelled, or compacted away, before it has got round to telling what they would have told.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import NamedTuple

import grpc

from tests.acceptance.etcd.api import EtcdApi
from tests.differential.comparison import Pair, Played
from tests.differential.etcd.generate import Generator
from tests.differential.etcd.play import Play, Said, play_on_both
from tests.differential.etcd.script import EtcdScript

LOOKED_AT_AGAIN_AFTER = 8
EQUAL_WITHIN_S = 15.0


class SaidDifferently(NamedTuple):
    """None: nothing was said there."""

    left: Said | None
    right: Said | None

    def __str__(self) -> str:
        return f"expected {self.left}\n        got      {self.right}"

    @property
    def about(self) -> str:
        said = self.left or self.right
        assert said is not None
        return said.about

    @property
    def kind(self) -> str:
        return f"{self.about}: {_short(self.left)} / {_short(self.right)}"


def _short(said: Said | None) -> str:
    if said is None:
        return "nothing"
    return said.reply[:70] if isinstance(said.reply, str) else "a reply"


def differences(left: list[Said], right: list[Said]) -> list[SaidDifferently]:
    return [SaidDifferently(one, other) for one, other in itertools.zip_longest(left, right) if one != other]


class EtcdPair(Pair[EtcdScript]):
    """`reference` is the address of the server that is right."""

    def __init__(self, reference: str, tested: str) -> None:
        self._apis = EtcdApi(reference), EtcdApi(tested)
        self._compacted: tuple[set[int], set[int]] = (set(), set())
        self._earlier: deque[tuple[Play, Play]] = deque()

    def close(self) -> None:
        while self._earlier:
            self._retire()
        for api in self._apis:
            api.close()

    def api(self, server: int) -> EtcdApi:
        """0: the one that is right."""
        return self._apis[server]

    def draw(self, seed: str) -> EtcdScript:
        return Generator(seed).script()

    def read(self, data: bytes) -> EtcdScript:
        return EtcdScript.from_json(data)

    def play(self, script: EtcdScript, *, patient: bool = False) -> Played:
        """With patience everything is told at once, and nothing is left to look at again."""
        left, right = (
            Play(api, script, compacted) for api, compacted in zip(self._apis, self._compacted, strict=True)
        )
        play_on_both(left, right)
        if patient:
            left.let_catch_up()
        played = self._compare(left, right)
        for play in (left, right):
            play.clean_up()
            if patient:
                play.close()
        if not patient:
            self._earlier.append((left, right))
        return played

    def late(self) -> tuple[EtcdScript, Played] | None:
        if len(self._earlier) <= LOOKED_AT_AGAIN_AFTER:
            return None
        script, played = self._retire()
        return (script, played) if played.differences else None

    def excuse(self, script: EtcdScript, *, same_answers: bool) -> str | None:
        return "only the reference had changed its mind" if same_answers else None

    def _compare(self, left: Play, right: Play) -> Played:
        """What the streams say may take a while; what was answered stays as it is."""
        end = time.monotonic() + EQUAL_WITHIN_S
        while True:
            answers = right.form()
            found = differences(left.form(), answers)
            if not found or "stream" not in found[0].about or time.monotonic() > end:
                return Played(found, answers)
            time.sleep(0.005)

    def _retire(self) -> tuple[EtcdScript, Played]:
        left, right = self._earlier.popleft()
        played = self._compare(left, right)
        for number, play in enumerate((left, right)):
            play.close()
            self._forget(number, play.beginning)
        return left.script, played

    def _forget(self, server: int, revision: int) -> None:
        """Nobody looks behind it any more; where a script has done so already, all the better."""
        try:
            self._apis[server].call("Compact", revision=revision)
            self._compacted[server].add(revision)
        except grpc.RpcError as refusal:
            if refusal.code() != grpc.StatusCode.OUT_OF_RANGE:
                raise
