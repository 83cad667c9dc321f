"""A copy of all below a name, on threads: it is read without a question to the loop."""

from __future__ import annotations

import os
import threading

import pytest

import agreed.coordination.client as asynchronous
from agreed.client.loop_thread import shared
from agreed.coordination.synchronous import Client
from tests.recipes.stage import Stage


def client_of(stage: Stage) -> Client:
    return Client(asynchronous.Client(stage.client(), ttl=10.0, identity="me"))


def test_it_is_read_on_any_thread_and_told_to_whoever_waits() -> None:
    stage = Stage()
    with client_of(stage) as one, client_of(stage) as two:
        one.kv.put("config/a/b", b"1")
        told: list[list[str]] = []
        with two.subtree("config") as tree:
            assert (tree.name, tree.keys(), tree.names("a")) == ("config", ["a/b"], ["b"])
            changes = tree.changes()
            assert changes.next(30.0).resynchronized

            def hear() -> None:
                for change in changes:
                    told.append([entry.key for entry in change.put])

            hearing = threading.Thread(target=hear)
            hearing.start()
            version = one.kv.put("config/c", b"2")
            tree.refresh()
            assert tree.revision >= version
            found = tree.get("c")
            assert found is not None
            assert found.value == b"2"
            assert [entry.key for entry in tree.list()] == ["config/c"]
            assert (tree.error, tree.stale_for()) == (None, 0.0)
            view = tree.view
        hearing.join(30.0)
        assert not hearing.is_alive(), "who waits for more is told that there is none"
        assert told == [["config/c"]]
        one.kv.delete("config/c")
        assert tree.view is view
        with pytest.raises(StopIteration):
            next(iter(tree.changes()))


def test_in_a_forked_process_it_is_stale() -> None:
    with client_of(Stage()) as client, client.subtree("t") as tree:
        assert tree.stale_for() == 0.0
        child = os.fork()
        if child == 0:
            os._exit(7 if tree.stale_for() > 0.0 else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert tree.stale_for() == 0.0


def test_reading_it_waits_for_nobody() -> None:
    stage = Stage()
    with client_of(stage) as client, client.subtree("t") as tree:
        standing, go_on = threading.Event(), threading.Event()

        def stand_still() -> None:
            standing.set()
            go_on.wait(30.0)

        shared().call(stand_still)
        standing.wait(30.0)
        try:
            assert tree.keys() == []
            assert tree.get("a") is None
            assert tree.revision == stage.revision
        finally:
            go_on.set()
