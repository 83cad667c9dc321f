"""Cancelled at each point at which it may be: a story is played again and again, each time a turn longer.

    for played in cancelled_at_each_turn(story):
        assert played.left_behind() == []

`story(mine, yours)` is given the `Sessions` of two clients of one stage.  A stage waits for one turn of the
event loop before it answers, so that the turns of the loop are the points at which a task can be cancelled.
With `again_after` it is cancelled a second time so many turns after the first, in the midst of what it does
about the first.  With `losing` answers get lost besides: of every third commit that of one which was done, of
every fourth that of one which was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from agreed.backends.contract import Change, Entry, Guard
from agreed.client.errors import ConnectionLost
from agreed.recipes.certain import SLOTS
from agreed.recipes.sessions import Sessions
from tests.recipes.stage import Stage, StageBackend
from tests.recipes.world.virtual import run

Story: TypeAlias = Callable[[Sessions, Sessions], Awaitable[Any]]

TURNS_MOST = 400


class Losing(StageBackend):
    """Answers get lost on the way to this client."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._commits = 0

    async def commit(self, guards: Sequence[Guard], changes: Sequence[Change]) -> int | None:
        self._commits += 1
        if not self._commits % 4:
            raise ConnectionLost("its request is lost", maybe=True)
        revision = await super().commit(guards, changes)
        if not self._commits % 3:
            raise ConnectionLost("its answer is lost", maybe=True)
        return revision


class Played:
    """What was there after the story was cancelled in its turn `turn`, and everything had come to rest.
    `error`: with what it ended instead of being cancelled."""

    def __init__(self, turn: int, stage: Stage, error: BaseException | None) -> None:
        self.turn = turn
        self.stage = stage
        self.error = error

    def left_behind(self) -> list[Entry]:
        """What goes with a session, and would stay for as long as that lives."""
        return [
            entry
            for entry in self.stage.entries.values()
            if entry.owner and not entry.key.startswith(f"{SLOTS}/")
        ]


def cancelled_at_each_turn(
    story: Story, *, again_after: int | None = None, losing: bool = False
) -> Iterator[Played]:
    for turn in range(TURNS_MOST):
        played = run(turn, _cancelled(story, turn, again_after, losing))
        if played is None:
            assert turn, "it did not wait for anything"
            return
        yield played
    raise AssertionError(f"it is not over after {TURNS_MOST} turns")


async def _cancelled(story: Story, turn: int, again_after: int | None, losing: bool) -> Played | None:
    """None: it was over before."""
    stage = Stage()
    mine, yours = (Sessions(Losing(stage) if losing else stage.client(), 10.0) for _ in range(2))
    task = asyncio.ensure_future(story(mine, yours))
    async with asyncio.timeout(20.0):
        await _turns(task, turn)
        if task.done():
            await task
            return None
        task.cancel()
        if again_after is not None:
            await _turns(task, again_after)
            task.cancel()
        await asyncio.wait((task,))
        ended = None if task.cancelled() else task.exception()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=0.05)  # some wait for ever, such as those who keep sessions
        for sessions in (mine, yours):
            await sessions.tidied()
            await sessions.certain.settled()
            await sessions.tidied()
    return Played(turn, stage, ended)


async def _turns(task: asyncio.Future[Any], number: int) -> None:
    for _ in range(number):
        if task.done():
            return
        await asyncio.sleep(0)
