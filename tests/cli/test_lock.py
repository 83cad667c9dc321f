"""A command runs while a lock or leadership is held, and never without: whoever is killed, paused or lost.

The commands are real processes, the service is a real node, and `agreed` is what somebody would type.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agreed.cli.exits import LOST, MISUSED, NO_ANSWER, NOT_EXECUTABLE, NOT_FOUND, NOT_OBTAINED, REFUSED
from agreed.cli.playground import Playground
from tests.node.running import wait_until

TTL_S = 3

LIVES = 'echo "$$ $AGREED_TOKEN"; while :; do sleep 0.1; done'
"""Says who it is, and goes on until somebody ends it."""

SAYS_GOODBYE = "trap 'echo told; exit 9' TERM; " + LIVES

DEAF = "trap '' TERM; " + LIVES


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("locked"), size=1, etcd=True) as cluster:
        cluster.start_all()
        cluster.wait_until_serving(60)
        yield cluster


def begin(node: Playground, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agreed", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AGREED_URL": f"etcd://{node.etcd_endpoints}/cli"},
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    told, errors = process.communicate(timeout=60)
    return process.returncode, told, errors


def run(node: Playground, *arguments: str) -> tuple[int, str, str]:
    return end(begin(node, *arguments))


def who(process: subprocess.Popen[str]) -> tuple[int, int]:
    """The number of the command, and its token, once it runs."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, end(process)
    number, token = line.split()
    return int(number), int(token)


def is_there(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(number: int) -> None:
    wait_until(lambda: not is_there(number), "the command is ended")


def test_a_command_knows_its_lock_and_token_and_its_exit_code_is_passed_on(node: Playground) -> None:
    says = ["--", "sh", "-c", 'echo "$AGREED_LOCK_NAME $AGREED_TOKEN"; exit 7']
    told = [run(node, "lock", "orders", *says), run(node, "run", "--leader", "orders", *says)]
    assert [(code, words.split()[0]) for code, words, _ in told] == [(7, "orders")] * 2
    first, second = (int(words.split()[1]) for _, words, _ in told)
    assert second > first


def test_a_command_that_a_signal_ends_is_told_as_a_shell_tells_it(node: Playground) -> None:
    assert run(node, "lock", "killed", "--", "sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_told_before_anybody_waits(node: Playground, tmp_path: Path) -> None:
    nobody = ["lock", "--url", "agreed://127.0.0.1:1", "missing", "--"]
    assert run(node, *nobody, "no-such-command")[0] == NOT_FOUND
    (tmp_path / "plain").write_text("")
    assert run(node, *nobody, str(tmp_path / "plain"))[0] == NOT_EXECUTABLE


@pytest.mark.parametrize(
    ("url", "code", "reason"),
    [
        ("memory://here", MISUSED, "lives in one process"),
        ("ftp://127.0.0.1", MISUSED, "ftp is none of"),
        ("agreed://127.0.0.1:1", NO_ANSWER, "it was not done"),
    ],
)
def test_a_service_that_is_none_is_told_and_the_command_does_not_run(
    node: Playground, url: str, code: int, reason: str
) -> None:
    ended, told, error = run(node, "lock", "--url", url, "--timeout", "0.5", "n", "--", "echo", "ran")
    assert (ended, told) == (code, "")
    assert reason in error
    assert "Traceback" not in error


def test_while_somebody_holds_it_the_command_of_another_does_not_run(node: Playground) -> None:
    holder = begin(node, "lock", "busy", "--value", "me", "--", "sh", "-c", LIVES)
    try:
        number, token = who(holder)
        command = ["busy", "--", "echo", "ran"]
        assert run(node, "lock", "--timeout", "0", *command)[:2] == (NOT_OBTAINED, "")
        timeout_s, code, told = 0.3, NO_ANSWER, ""
        while code == NO_ANSWER and timeout_s < 30:  # a loaded machine does not even connect in that time
            code, told, _ = run(node, "lock", "--timeout", str(timeout_s), *command)
            timeout_s *= 2
        assert (code, told) == (NOT_OBTAINED, "")
        code, told, _ = run(node, "elect", "busy", "--json")
        [candidate] = json.loads(told)
        assert (code, candidate["value"], candidate["token"]) == (0, "me", token)
        assert "me" in run(node, "elect", "busy")[1]
    finally:
        holder.terminate()
    assert end(holder)[0] == 128 + signal.SIGTERM
    assert not is_there(number)
    assert run(node, "elect", "busy", "--json")[:2] == (REFUSED, "[]\n")


def test_signals_are_for_the_command_and_who_waits_ends(node: Playground) -> None:
    holder = begin(node, "lock", "signalled", "--", "sh", "-c", SAYS_GOODBYE)
    who(holder)
    waiter = begin(node, "run", "--leader", "signalled", "--", "echo", "ran")
    wait_until(
        lambda: len(json.loads(run(node, "elect", "signalled", "--json")[1])) == 2,
        "the second stands in line",
    )
    waiter.terminate()
    assert end(waiter)[:2] == (128 + signal.SIGTERM, "")
    assert len(json.loads(run(node, "elect", "signalled", "--json")[1])) == 1
    holder.terminate()
    assert end(holder)[:2] == (9, "told\n")


def test_who_leads_is_told_whenever_it_is_another_and_so_is_that_nobody_does(node: Playground) -> None:
    following = begin(node, "elect", "followed", "--follow", "--json")
    assert following.stdout is not None
    assert following.stdout.readline() == "null\n"
    leader = begin(node, "run", "--leader", "followed", "--value", "me", "--", "sh", "-c", LIVES)
    _, token = who(leader)
    told = json.loads(following.stdout.readline())
    assert (told["value"], told["token"]) == ("me", token)
    leader.terminate()
    end(leader)
    assert following.stdout.readline() == "null\n"
    following.send_signal(signal.SIGINT)
    assert end(following)[0] == 128 + signal.SIGINT


def test_nothing_of_a_command_outlives_it_or_the_one_who_holds_its_lock(node: Playground) -> None:
    leaves = 'sh -c "trap \'\' TERM; while :; do sleep 0.1; done" & echo "$! $AGREED_TOKEN"'
    left = begin(node, "lock", "--grace", "0.2", "left", "--", "sh", "-c", leaves)
    number, _ = who(left)
    assert end(left)[0] == 0
    assert not is_there(number)

    killed = begin(node, "lock", "--grace", "0.2", "orphaned", "--", "sh", "-c", f"({leaves}); {DEAF}")
    behind, own = who(killed)[0], who(killed)[0]
    killed.kill()
    wait_until_gone(own)
    wait_until_gone(behind)
    end(killed)


def test_a_command_over_which_nobody_watches_any_more_is_ended(node: Playground) -> None:
    holder = begin(node, "lock", "--grace", "0.2", "unwatched", "--", "sh", "-c", DEAF)
    number, _ = who(holder)
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
    [warden] = {int(child) for child in children} - {number}
    os.kill(warden, signal.SIGKILL)
    wait_until_gone(number)
    code, _, error = end(holder)
    assert code == NO_ANSWER
    assert "watches over the command is gone" in error


def test_who_stands_still_for_too_long_finds_his_command_ended(node: Playground) -> None:
    holder = begin(node, "lock", "--ttl", str(TTL_S), "--grace", "0.2", "frozen", "--", "sh", "-c", DEAF)
    number, _ = who(holder)
    holder.send_signal(signal.SIGSTOP)
    wait_until_gone(number)
    holder.send_signal(signal.SIGCONT)
    code, _, error = end(holder)
    assert code == LOST
    assert "is lost" in error


def test_a_service_that_stands_still_ends_the_commands_and_leaders_begin_again(node: Playground) -> None:
    ttl = ["--ttl", str(TTL_S), "--grace", "0.2"]
    patient = ["--ttl", str(TTL_S), "--grace", "30"]
    holder = begin(node, "lock", *patient, "held", "--", "sh", "-c", SAYS_GOODBYE)
    once = begin(node, "run", *ttl, "--once", "--leader", "once", "--", "sh", "-c", DEAF)
    leader = begin(node, "run", *ttl, "--leader", "again", "--", "sh", "-c", LIVES)
    try:
        numbers = [who(each)[0] for each in (holder, once)]
        first, token = who(leader)
        node.processes["n1"].pause()
        for number in (*numbers, first):
            wait_until_gone(number)
    finally:
        node.processes["n1"].resume()
    assert end(holder)[:2] == (LOST, "told\n")
    assert end(once)[0] == LOST
    second, newer = who(leader)
    assert second != first
    assert newer > token
    leader.terminate()
    assert end(leader)[0] == 128 + signal.SIGTERM
