"""Stories on a stage: for what does not depend on which service it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agreed.recipes.sessions import Sessions
from tests.recipes.stage import Stage

PLAY_WITHIN_S = 60.0


def play(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PLAY_WITHIN_S):
            await story(Stage())

    asyncio.run(bounded())


def client_of(stage: Stage) -> Sessions:
    return Sessions(stage.client(), 10.0)


async def until(holds: Callable[[], bool]) -> None:
    """Within the time of the story."""
    while not holds():
        await asyncio.sleep(0.005)
