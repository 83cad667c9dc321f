"""tooz's own tests of drivers, and what is ours alone."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import tooz
from tooz import coordination
from tooz.coordination import Characteristics

from agreed.client.errors import ConnectionLost
from agreed.integrations.tooz import AgreedDriver
from agreed.testing.server import ZooKeeperServer

ROOT = Path(__file__).resolve().parent.parent.parent

WITHIN_S = 30.0

NOT_OURS = {
    "test_heartbeat": "heartbeating not required",
    "test_heartbeat_loop": "heartbeating not required",
    "test_timeout": "not based on timeout",
    "test_watch_join_group_disappear": "ability to destroy groups",
}
"""Which of tooz's tests say of this driver that they are not for it, and why."""


def played(*urls: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.integrations.tooz_scenarios", *urls],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def test_all_of_tooz_own_tests_pass(tmp_path: Path) -> None:
    told = played("agreed+memory://tooz", f"agreed+file://{tmp_path}/locks")
    assert told["failed"] == []
    assert told["run"] >= 70
    assert told["skipped"].keys() == NOT_OURS.keys()
    for name, why in NOT_OURS.items():
        assert why in told["skipped"][name]


@contextmanager
def member(url: str, name: bytes = b"me", **options: str) -> Iterator[AgreedDriver]:
    coordinator = coordination.get_coordinator(url, name, **options)
    assert isinstance(coordinator, AgreedDriver)
    coordinator.start()
    try:
        yield coordinator
    finally:
        coordinator.stop()


def test_a_server_that_is_not_there_is_told_in_tooz_words() -> None:
    coordinator = coordination.get_coordinator("agreed://127.0.0.1:1/x?connect_timeout=0.1", b"me")
    with pytest.raises(coordination.ToozConnectionError):
        coordinator.start()
    with pytest.raises(tooz.ToozError, match="not started"):
        coordinator.get_groups()
    nowhere = AgreedDriver(b"me", urlsplit("nowhere://x"), {})
    with pytest.raises(tooz.ToozError, match="is none of"):
        nowhere.start()


@pytest.mark.parametrize(
    ("url", "reached", "options"),
    [
        ("agreed://h1:1,h2:2/app", "agreed://h1:1,h2:2/app", {}),
        ("agreed+tls://h1:1/", "agreed+tls://h1:1", {}),
        ("agreed+etcd://u:p@h1/app?timeout=5", "etcd://u:p@h1/app", {}),
        ("agreed+zk://h1/app", "zk://h1/app", {"namespace": "openstack"}),
        ("agreed+file:///var/lib/x?root=jobs&timeout=3", "file:///var/lib/x?root=jobs", {}),
    ],
)
def test_which_service_a_url_means(url: str, reached: str, options: dict[str, str]) -> None:
    coordinator = coordination.get_coordinator(url, b"me", **options)
    assert isinstance(coordinator, AgreedDriver)
    assert coordinator._url == reached
    assert coordinator._namespace == options.get("namespace", "tooz")


def test_a_driver_says_how_far_it_reaches() -> None:
    everywhere = Characteristics.DISTRIBUTED_ACROSS_HOSTS
    coordination.get_coordinator(
        "agreed://h", b"me", characteristics=[everywhere, Characteristics.LINEARIZABLE]
    )
    for url in ("agreed+file:///x", "agreed+memory://x"):
        with pytest.raises(coordination.ToozDriverChosenPoorly):
            coordination.get_coordinator(url, b"me", characteristics=[everywhere])


def test_ids_may_be_any_bytes() -> None:
    strange = [b".", b"..", b"a/b", b"", b"\xff\x00", b"id-id-", b"%2F"]
    with member("agreed+memory://ids/a", b"\xfe/..") as mine:
        for group in strange:
            mine.create_group(group).get()
            mine.join_group(group, {"n": [1, {"x": None}]}).get()
        assert sorted(mine.get_groups().get()) == sorted(strange)
        assert mine.get_members(b"..").get() == {b"\xfe/.."}
        assert mine.get_members_with_capabilities(b"a/b").get() == {b"\xfe/..": {"n": [1, {"x": None}]}}


def meanwhile(
    place: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[], coordination.CoordinatorResult[Any]],
) -> None:
    """When `place.name` is called first, this is done before it has answered."""
    usual = getattr(place, name)

    async def hooked(*arguments: Any) -> Any:
        answer = await usual(*arguments)
        if getattr(place, name) is hooked:
            monkeypatch.setattr(place, name, usual)
            await asyncio.wrap_future(ask()._fut)
        return answer

    monkeypatch.setattr(place, name, hooked)


def test_nobody_joins_a_group_that_is_being_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was empty when the one looked, and there when the other one did."""
    with member("agreed+memory://race/a", b"one") as one, member("agreed+memory://race/a", b"two") as two:
        one.create_group(b"group").get()
        meanwhile(one._sessions.backend, "names", monkeypatch, lambda: two.join_group(b"group"))
        with pytest.raises(coordination.GroupNotEmpty):
            one.delete_group(b"group").get()
        assert one.get_members(b"group").get() == {b"two"}
        two.leave_group(b"group").get()
        meanwhile(two._sessions, "get", monkeypatch, lambda: one.delete_group(b"group"))
        with pytest.raises(coordination.GroupNotCreated):
            two.join_group(b"group").get()
        assert one.get_groups().get() == []


def test_a_lock_tells_its_token_and_whether_it_is_still_ours(zk_server: ZooKeeperServer) -> None:
    url = zk_server.url.replace("zk://", "agreed+zk://")
    with member(url, b"one") as one, member(url, b"two") as two:
        lock, other = one.get_lock(b"it"), two.get_lock(b"it")
        assert lock.token is None
        assert not lock.is_still_owner()
        assert lock.acquire()
        first = lock.token
        assert lock.is_still_owner()
        assert not other.acquire(timeout=0.01)
        zk_server.faults.expire(one._sessions._open[10.0].id)
        assert other.acquire()
        assert other.token is not None
        assert first is not None
        assert other.token > first
        deadline = time.monotonic() + WITHIN_S
        while lock.is_still_owner():
            assert time.monotonic() < deadline
        assert not lock.release()
        assert other.is_still_owner()
        assert other.release()


def test_a_lock_is_given_back_where_nobody_can_say_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has it any more to give it back later: it would be held for as long as this member lives."""
    url = "agreed+memory://tooz-release"
    with member(url, b"one") as one, member(url, b"two") as two:
        lock = one.get_lock(b"it")
        assert lock.acquire()

        async def lost(*_: object) -> None:
            raise ConnectionLost("the connection was lost", maybe=False)

        with monkeypatch.context() as away:
            away.setattr(one._sessions.backend, "get", lost)
            with pytest.raises(coordination.ToozConnectionError):
                lock.release()
        assert two.get_lock(b"it").acquire(timeout=WITHIN_S)


def test_whoever_is_interrupted_when_he_is_given_a_lock_does_not_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "agreed+memory://tooz-interrupted"
    with member(url, b"one") as one, member(url, b"two") as two:
        lock = one.get_lock(b"it")
        usual = Future.result

        def interrupted(future: Any, timeout: float | None = None) -> Any:
            usual(future, timeout)
            raise KeyboardInterrupt

        with monkeypatch.context() as now, pytest.raises(KeyboardInterrupt):
            now.setattr(Future, "result", interrupted)
            lock.acquire()
        assert not lock.acquired
        assert two.get_lock(b"it").acquire(timeout=WITHIN_S)


def test_a_member_whose_session_is_over_is_gone_and_may_come_back(zk_server: ZooKeeperServer) -> None:
    url = zk_server.url.replace("zk://", "agreed+zk://")
    with member(url, b"one") as one, member(url, b"two") as two:
        one.join_group_create(b"group")
        left: list[bytes] = []
        two.watch_leave_group(b"group", lambda event: left.append(event.member_id))
        two.run_watchers()
        led: list[int] = []
        one.watch_elected_as_leader(b"group", lambda event: led.append(1))
        one.run_watchers()
        zk_server.faults.expire(one._sessions._open[10.0].id)
        two.run_watchers()
        assert left == [b"one"]
        deadline = time.monotonic() + WITHIN_S
        while len(led) < 2:
            one.run_watchers()
            assert time.monotonic() < deadline
        one.join_group(b"group").get()
        assert two.get_members(b"group").get() == {b"one"}
        assert two.get_leader(b"group").get() == b"one"


def test_a_forked_process_is_refused() -> None:
    with member("agreed+memory://forked/a") as mine:

        def child() -> None:
            try:
                mine.get_groups()
            except tooz.ToozError:
                os._exit(7)
            os._exit(1)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(WITHIN_S)
        assert process.exitcode == 7
        assert mine.get_groups().get() == []
