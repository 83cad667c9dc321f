"""Barriers: whoever was let through, all of his generation were, and hear so unless they have left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from agreed.errors import AgreedError
from agreed.recipes.barrier import DECODER, Barrier, DoubleBarrier
from tests.recipes.world.world import Play, Told, User, World


class Barriers(Play):
    name = "barrier"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.parties = world.dice.randint(2, 3)

    async def act(self, user: User) -> None:
        timeout = user.timeout()
        work = Barrier(user.sessions, "b", self.parties).wait(timeout)
        await user.tries("wait", timeout, work, waits=True)

    async def finish(self) -> None:
        """Those who come now go on together, after the dead were noticed."""

        async def comes(user: User) -> None:
            for _ in range(5):
                told = await user.tries("wait", None, Barrier(user.sessions, "b", self.parties).wait())
                if not isinstance(told.error, AgreedError):
                    return

        await asyncio.gather(*(comes(self.world.visitor()) for _ in range(self.parties)))

    def judge(self) -> Iterator[str]:
        passed = self.let_through()
        for told in self.world.of("wait"):
            generation = next((passed[mark] for mark in told.marks if mark in passed), None)
            if told.done and told.result != generation:
                yield f"told {told.result}, let through with {generation}: {told}"
            if told.surely_not_done and generation is not None:
                yield f"told that it was not, let through with {generation}: {told}"

    def let_through(self) -> dict[str, int]:
        """mark -> generation"""
        passed: dict[str, int] = {}
        before: tuple[str, ...] = ()
        for _, value in self.world.values("b"):
            state = DECODER.decode(value)
            if state.passed != before:
                passed.update((mark, state.generation - 1) for mark in state.passed)
            before = state.passed
        return passed


class DoubleBarriers(Barriers):
    name = "double barrier"

    async def act(self, user: User) -> None:
        await self._goes_through(user, user.timeout(), waits=True)

    async def _goes_through(self, user: User, timeout: float | None, *, waits: bool) -> Told:
        inside: list[int] = []
        told = await user.tries("through", inside, self._through(user, timeout, inside), waits=waits)
        return told

    async def _through(self, user: User, timeout: float | None, inside: list[int]) -> None:
        async with DoubleBarrier(user.sessions, "b", self.parties).once(timeout) as generation:
            inside.append(generation)
            await user.pause()
        mine = str(generation).encode()
        there = [entry for entry in self.world.stage.entries.values() if entry.key.startswith("b/")]
        if any(entry.value == mine for entry in there):
            self.world.wrong(f"out of {generation}, and some are within: {there}")

    async def finish(self) -> None:
        async def comes(user: User) -> None:
            for _ in range(5):
                told = await self._goes_through(user, None, waits=False)
                if told.about or not isinstance(told.error, AgreedError):
                    return

        await asyncio.gather(*(comes(self.world.visitor()) for _ in range(self.parties)))

    def judge(self) -> Iterator[str]:
        passed = self.let_through()
        for told in self.world.of("through"):
            generation = next((passed[mark] for mark in told.marks if mark in passed), None)
            if told.about and told.about != [generation]:
                yield f"told {told.about}, let through with {generation}: {told}"
            if told.surely_not_done and not told.about and generation is not None:
                yield f"told that it was not, let through with {generation}: {told}"
