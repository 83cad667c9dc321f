"""Users of a service in memory, who are cancelled and cut off; and two recipes that are wrong.

Each in a process of its own: what other tests do to recipes and clocks in this one is not their affair.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest

from agreed.torture.users.work import NAMES

WRONG = {"U3": "lock", "U8": "semaphore"}
"""Numbers of `tests/torture/broken_users.py`."""

RIGHT = "as it is"


class Ended(NamedTuple):
    code: int
    said: str


@pytest.fixture(scope="module")
def played() -> dict[str, Ended]:
    """All at once: they mostly wait."""
    torture = ["agreed", "torture", "--recipes", "all", "--against", "memory"]
    commands = {
        RIGHT: [*torture, "--users", "4", "--minutes", "0.05", "--seed", "1"],
        **{
            number: ["tests.torture.broken_users", "memory", number, recipe, "0.5"]
            for number, recipe in WRONG.items()
        },
    }
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, command in commands.items()
    }
    said = {name: process.communicate()[0] for name, process in started.items()}
    return {name: Ended(process.returncode, said[name]) for name, process in started.items()}


pytestmark = pytest.mark.timeout(400)


def test_all_recipes_keep_their_promises(played: dict[str, Ended]) -> None:
    code, said = played[RIGHT]
    assert code == 0, said
    assert "everything holds" in said
    for recipe in NAMES:
        assert f"\n{recipe}: " in said
        assert f"\n{recipe}: 0 grants" not in said


@pytest.mark.parametrize("number", WRONG)
def test_a_recipe_that_is_wrong_is_convicted(number: str, played: dict[str, Ended]) -> None:
    code, said = played[number]
    assert code == 0, said
    assert f"{WRONG[number]}: too many holders" in said
