"""What users work on: it looks at tokens, and writes everything down."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from agreed.torture.users.resource import Resource, use, use_soon

DEADLINE_S = 60.0


def played(resource: Resource, *uses: tuple[str, int, str]) -> list[bool]:
    """One after the other, by both faces in turn."""

    async def story() -> list[bool]:
        async with asyncio.timeout(DEADLINE_S), resource:
            found = []
            for number, (name, token, holder) in enumerate(uses):
                if number % 2:
                    found.append(await use_soon(resource.path, name, token, holder))
                else:
                    found.append(await asyncio.to_thread(use, resource.path, name, token, holder))
            return found

    return asyncio.run(story())


def test_it_refuses_smaller_tokens_name_by_name(tmp_path: Path) -> None:
    resource = Resource(tmp_path / "r")
    came = (("a", 5, "A"), ("a", 7, "B"), ("a", 5, "A"), ("b", 5, "A"), ("a", 7, "B"), ("a", 8, "C"))
    assert played(resource, *came) == [True, True, False, True, True, True]
    assert [(each.name, each.token, each.holder) for each in resource.accesses] == list(came)
    assert [each.accepted for each in resource.accesses] == [True, True, False, True, True, True]
    assert sorted(each.at for each in resource.accesses) == [each.at for each in resource.accesses]


def test_whom_to_hit_is_who_comes_next(tmp_path: Path) -> None:
    resource = Resource(tmp_path / "r")

    async def story() -> str:
        async with asyncio.timeout(DEADLINE_S), resource:
            await use_soon(resource.path, "a", 1, "u1.1/lock")
            waiting = asyncio.ensure_future(resource.next_holder("lock"))
            await asyncio.sleep(0)
            await use_soon(resource.path, "b", 1, "u2.1/queue")
            await use_soon(resource.path, "a", 2, "u3.4/lock")
            return await waiting

    assert asyncio.run(story()) == "u3.4"


def test_without_its_fence_it_lets_everybody_in(tmp_path: Path) -> None:
    resource = Resource(tmp_path / "r", fence=False)
    assert played(resource, ("a", 7, "B"), ("a", 5, "A")) == [True, True]


def test_who_says_half_of_it_or_nonsense_keeps_nobody_waiting(tmp_path: Path) -> None:
    resource = Resource(tmp_path / "r")

    async def story() -> bool:
        async with asyncio.timeout(DEADLINE_S), resource:
            with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as nonsense:
                for way, said in ((half, b'["a",'), (nonsense, b"[1]\n")):
                    way.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(way, str(resource.path))
                    await asyncio.get_running_loop().sock_sendall(way, said)
                return await use_soon(resource.path, "a", 1, "A")

    assert asyncio.run(story())
    assert len(resource.accesses) == 1


def test_where_nobody_answers_nobody_is_let_in(tmp_path: Path) -> None:
    assert not use(tmp_path / "nobody", "a", 1, "A")
    assert not asyncio.run(use_soon(tmp_path / "nobody", "a", 1, "A"))
