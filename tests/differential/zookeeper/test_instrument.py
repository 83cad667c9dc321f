"""The comparison itself: silent where there is no difference, loud where there is one."""
from __future__ import annotations

import pytest

from tests.acceptance.cluster import Node, version_of
from tests.acceptance.requests import Create, Delete, Multi, SetData
from tests.differential.comparison import Comparison
from tests.differential.shrink import shrink
from tests.differential.zookeeper.compare import PeerTraits
from tests.differential.zookeeper.generate import Generator
from tests.differential.zookeeper.pair import ZooKeeperPair
from tests.differential.zookeeper.proxy import CORRUPTIONS, CorruptingProxy
from tests.differential.zookeeper.script import Renew, Send, ZooKeeperScript

RECENT = PeerTraits((3, 9, 3))


def test_zookeeper_agrees_with_itself(zookeeper: Node, twin: Node) -> None:
    """So whatever is found elsewhere is not made by the comparison."""
    traits = PeerTraits(version_of(zookeeper))
    pair = ZooKeeperPair(zookeeper.client_port, twin.client_port, traits, prefix="self")
    comparison = Comparison(pair)
    for number in range(60):
        disagreement = comparison.check(pair.draw(f"self:{number}"))
        assert disagreement is None, str(disagreement)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_one_spoilt_field_is_found(zookeeper: Node, twin: Node, name: str) -> None:
    with CorruptingProxy(twin.client_port, CORRUPTIONS[name]) as proxy:
        traits = PeerTraits(version_of(zookeeper))
        pair = ZooKeeperPair(zookeeper.client_port, proxy.port, traits, prefix=name[:9], timeout_s=2)
        comparison = Comparison(pair)
        for number in range(200):
            if comparison.check(pair.draw(f"{name}:{number}"), shrinking=False) is not None:
                return
    pytest.fail(f"{name}: nobody noticed")


def test_the_same_seed_draws_the_same_script_and_another_seed_another() -> None:
    drawn = [Generator(seed, RECENT).script() for seed in ("1:1", "1:1", "1:2")]
    assert drawn[0] == drawn[1]
    assert drawn[0].steps != drawn[2].steps


def test_a_script_survives_being_written_down() -> None:
    for number in range(50):
        script = Generator(f"kept:{number}", RECENT).script()
        assert ZooKeeperScript.from_json(script.to_json()) == script


def test_a_failing_script_is_shrunk_to_what_makes_it_fail() -> None:
    """What fails here is a deletion of ~/b anywhere after a creation of ~/a inside a multi."""

    def fails(script: ZooKeeperScript) -> bool:
        requests = [r for step in script.steps if isinstance(step, Send) for r in step.requests]
        multis = [(n, r) for n, r in enumerate(requests) if isinstance(r, Multi)]
        created = [n for n, multi in multis if Create("~/a") in multi.operations]
        deleted = [n for n, r in enumerate(requests) if r == Delete("~/b")]
        return bool(created and deleted) and created[0] < deleted[-1]

    noise = tuple(Generator(f"noise:{n}", RECENT).script().steps[0] for n in range(6))
    guilty = Send(0, (SetData("~", b""), Multi((SetData("~", b"x"), Create("~/a"), Delete("~/x")))))
    last = Send(1, (Delete("~/b"), SetData("~", None)))
    script = ZooKeeperScript("s", (*noise, guilty, Renew(1), *noise, last))
    assert shrink(script, fails).steps == (Send(0, (Multi((Create("~/a"),)),)), Send(1, (Delete("~/b"),)))
