"""zkCli, the shell that comes with ZooKeeper, driven through its standard input; its output made comparable.

One JVM talks to one server for a whole session, because starting it costs more than a hundred commands.
Between any two commands stands `printwatches`, which the shell answers by itself, connected or not: so it can
be told where the output of a command ends.  Watch events are printed by a thread of their own, at any
moment, and are taken out of the output into a list of their own, in which their order means something.

What differs between any two runs of one server is replaced: times, session ids, ports; zxids by their rank
among those that were shown, so that which is older, and which are the same, is still compared.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.cluster import LOOPBACK, Node, zookeeper_classpath

COMMANDS_LIBRARY = Path("/usr/share/java/commons-cli.jar")

SILENT_LOG4J_TEXT = "log4j.rootLogger=OFF\n"

SEPARATOR = "printwatches"
SEPARATED = re.compile(r"printwatches is (on|off)")
LAST_WORDS = "sync /\n" * 5
"""The shell does not wait for its events when its input ends, so it is given something to do meanwhile."""

GREETING = ("Connecting to ", "Welcome to ZooKeeper!", "JLine support is disabled")


def shell_classpath() -> str | None:
    """The class path of the shell, or None where it is not installed."""
    servers = zookeeper_classpath()
    if servers is None or "PEER_ZOOKEEPER_CLASSPATH" in os.environ:
        return servers
    return f"{servers}:{COMMANDS_LIBRARY}" if COMMANDS_LIBRARY.exists() else None


def java_options(directory: Path) -> list[str]:
    """For a client that lives for some seconds; `directory` takes what silences its log."""
    silent = directory / "log4j-silent.properties"
    silent.write_text(SILENT_LOG4J_TEXT)
    return ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", f"-Dlog4j.configuration=file:{silent}"]


class Answer(NamedTuple):
    command: str
    lines: tuple[str, ...]


class Session(NamedTuple):
    answers: list[Answer]
    node_events: list[str]
    """`NodeCreated /path`, in the order in which they came."""
    session_events: list[str]
    """`SyncConnected`, ..., sorted: two sessions of one shell have two threads that print them."""


def run_shell(arguments: Sequence[str], directory: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """One run of the shell with these arguments; what it says and complains is in `stdout`."""
    classpath = shell_classpath()
    assert classpath is not None
    return subprocess.run(
        [
            *("java", *java_options(directory), "-Dfile.encoding=UTF-8", "-cp", classpath),
            *("org.apache.zookeeper.ZooKeeperMain", *arguments),
        ],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=90,
        check=False,
    )


def talk(address: str, commands: Iterable[str], directory: Path) -> Session:
    """A session at `address` (host:port, and maybe a path below which it lives)."""
    commands = list(commands)
    given = "".join(f"{command}\n{SEPARATOR}\n" for command in commands) + LAST_WORDS
    said = run_shell(["-server", address], directory, given).stdout
    parts: list[list[str]] = [[]]
    events: list[str] = []
    for line in said.splitlines():
        if SEPARATED.fullmatch(line):
            parts.append([])
        elif line.startswith("WatchedEvent "):
            events.append(line)
        elif line and line != "WATCHER::" and not line.startswith(GREETING):
            parts[-1].append(line)
    # What stands behind the last separator is the answer to the last words.
    assert len(parts) == len(commands) + 1, said
    answers = [Answer(command, tuple(part)) for command, part in zip(commands, parts, strict=False)]
    return _with_events(answers, events)


# Shells since 3.9 print the zxid of an event, too.
_EVENT = re.compile(
    r"WatchedEvent state:(?P<state>\w+) type:(?P<type>\w+) path:(?P<path>.*?)(?: zxid: -?\d+)?"
)


def _with_events(answers: list[Answer], events: list[str]) -> Session:
    node_events: list[str] = []
    session_events: list[str] = []
    for line in events:
        match = _EVENT.fullmatch(line)
        assert match is not None, line
        if match["type"] == "None":
            session_events.append(match["state"])
        else:
            node_events.append(f"{match['type']} {match['path']}")
    return Session(answers, node_events, sorted(session_events))


# --- what may differ between two runs ------------------------------------------------------------------

_ZXID = re.compile(r"(?P<label>[cmp]Zxid = 0x|version=)(?P<zxid>[0-9a-f]+)")
_SHORT_VERSION = re.compile(r"(?P<zxid>[0-9a-f]+) (?P<addresses>\(client address of .*)")
_TIME = re.compile(r"([cm]time) = (?!Thu Jan 01 00:00:00 UTC 1970).*")
_OWNER = re.compile(r"ephemeralOwner = 0x(?!0$)[0-9a-f]+")


def comparable(session: Session, names: dict[str, Node]) -> Session:
    """The same session without what is by nature another one in each run.

    `names` says which part each node plays (`leader`, ...): not every run has the same leader.
    """
    replace = _replacer(_ranks(session), names)
    answers = []
    for command, lines in session.answers:
        replaced = [replace(line) for line in lines]
        if any(line.startswith("version=") for line in lines):
            # The text of the configuration is as long as the number of its version.
            replaced = [re.sub(r"(dataLength) = \d+", r"\1 = (some)", line) for line in replaced]
            # Its lines stand in the order of numbers, which the parts are not given in.
            replaced.sort(key=lambda line: line if line.startswith("server.") else "")
        if command.startswith(UNORDERED):
            replaced = sorted(_sorted_list(line) for line in replaced)
        answers.append(Answer(command, tuple(replaced)))
    return Session(answers, session.node_events, session.session_events)


UNORDERED = ("getEphemerals", "whoami")
"""Commands whose answer is a set, printed in the order of a hash table."""


def _sorted_list(line: str) -> str:
    if not (line.startswith("[") and line.endswith("]")):
        return line
    return f"[{', '.join(sorted(line[1:-1].split(', ')))}]"


def _ranks(session: Session) -> dict[int, int]:
    shown = {int(m["zxid"], 16) for a in session.answers for line in a.lines for m in _ZXID.finditer(line)}
    return {zxid: rank for rank, zxid in enumerate(sorted(shown | {0}))}


def _replacer(ranks: dict[int, int], names: dict[str, Node]) -> Callable[[str], str]:
    servers = {
        rf"server.{node.name[-1]}=(peer address)": f"server.({name})=(peer address)"
        for name, node in names.items()
    }
    peers = re.compile(rf"(?<=server\.\d=){re.escape(LOOPBACK)}:\d+:\d+")

    def replace(line: str) -> str:
        for name, node in names.items():
            line = line.replace(node.address, f"(client address of {name})")
        line = peers.sub("(peer address)", line)
        for number, name in servers.items():
            line = line.replace(number, name)
        if short := _SHORT_VERSION.fullmatch(line):
            line = f"(zxid {ranks[int(short['zxid'], 16)]}) {','.join(sorted(short['addresses'].split(',')))}"
        line = _ZXID.sub(lambda match: f"{match['label']}(zxid {ranks[int(match['zxid'], 16)]})", line)
        line = line.replace("commmitted", "committed")  # a slip of some versions of the shell
        line = _TIME.sub(r"\1 = (a time)", line)
        return _OWNER.sub("ephemeralOwner = (a session)", line)

    return replace
