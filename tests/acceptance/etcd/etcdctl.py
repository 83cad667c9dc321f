"""One session with etcdctl over every command, and what it printed, without what differs from run to run.

A `Session` runs the real etcdctl against a cluster and keeps, for each command, its exit code and its lines.
Renamed are: the addresses of nodes (`n1`), ids and lease ids in the order in which they appear (`id#1`),
sizes, times, hashes, versions, the term and the indexes of the log.  What the client library logs about its
own retries is left out; the last word of a command that fails (`Error: ...`) is kept.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import grpc

from agreed.torture.processes import LOOPBACK
from tests.acceptance.cluster import wait_until
from tests.acceptance.etcd.api import EtcdApi
from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace

PATIENCE_S = 60.0

GIVES_UP_AFTER = {"ETCDCTL_DIAL_TIMEOUT": "25s", "ETCDCTL_COMMAND_TIMEOUT": "25s"}
"""By itself after 2 s and 5 s, and for so long a loaded machine may stand still."""

IDENTITY = re.compile(r"(?<![0-9A-Za-z.])(?:[0-9a-f]{11,16}|[0-9]{17,20})(?![0-9A-Za-z])")
"""An id as etcdctl prints it: in hexadecimal digits, which are fewer when a server has drawn a small one, or
as a decimal number (in JSON)."""

MASKS = (
    # Ids are printed in sixteen places, and a smaller one has blanks before it.
    (re.compile(r"  +(?=(?:id#|cluster\b|member\b))"), " "),
    (re.compile(r"\b\d+(\.\d+)? ?[kMG]?B\b"), "SIZE"),
    (re.compile(r"\b\d+(\.\d+)?(ns|µs|us|ms|s)\b"), "TIME"),
    (re.compile(r"\b3\.\d+\.\d+(-\w+)?\b"), "VERSION"),
    (re.compile(r'"(raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)":\d+'), r'"\1":N'),
    (re.compile(r'"(hash|totalSize)":\d+'), r'"\1":N'),
    (re.compile(r'"took":"?[^",}]*"?'), '"took":TIME'),
    (re.compile(r'"(RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|Hash)" : \d+'), r'"\1" : N'),
    (re.compile(r'"ttl":\d+'), '"ttl":N'),
    (re.compile(r"(false|true), \d+, \d+, \d+,"), r"\1, N, N, N,"),
    (re.compile(r'("member_id":|"MemberID" : )(member \w+|[a-z0-9#]+)'), r"\1ONE"),
    (re.compile(r"(clients, )\d+$"), r"\1HASH"),
    (re.compile(r"(?<=\|) +\d+ (?=\|)"), " N "),
    (re.compile(r"(?<=\|)  +|  +(?=\|)"), " "),
    (re.compile(r"-{3,}"), "---"),
)


UNORDERED = ("endpoint health", "member list", "endpoint status", "endpoint hashkv", "defrag", "lease list")
"""Commands that tell of members in the order of their ids, or as they answer, or of leases in the order in
which they will expire: their lines are sorted."""

KEYS_OF_A_LEASE = ((re.compile(r"(?<=keys\(\[)[^\]]*"), " "), (re.compile(r'(?<="keys":\[)[^\]]*'), ","))
"""They have no order."""


class Said(NamedTuple):
    command: str
    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((f"$ etcdctl {self.command}   [{self.code}]", *self.lines))


class Names:
    """Of ids: those that are known from the beginning, and `id#1`, `id#2`, ... as others appear."""

    def __init__(self, known: dict[int, str]) -> None:
        self._names = dict(known)
        self._known = len(known)

    def of(self, text: str) -> str:
        """Digits without a letter may be of either base: they are of the one in which the id is known."""
        readings = [int(text, 16)] if len(text) <= 16 else []
        readings += [int(text)] if text.isdecimal() else []
        for number in readings:
            if number in self._names:
                return self._names[number]
        return self._names.setdefault(readings[0], f"id#{len(self._names) - self._known + 1}")


class Session:
    def __init__(self, program: str, cluster: EtcdEnsemble | EtcdFace) -> None:
        self.cluster = cluster
        self.endpoints = cluster.etcd_addresses
        """Where commands go: to any of them."""
        self.said: list[Said] = []
        self._program = program
        with EtcdApi(cluster.etcd_addresses[0]) as api:
            cluster_id = api.call("MemberList").header.cluster_id
        members = {number: f"member {name}" for name, number in self.members().items()}
        self._names = Names({cluster_id: "cluster", **members})
        self.directory = Path(tempfile.mkdtemp(prefix="etcdctl-", dir=cluster.directory))
        self.environment = {**os.environ, **GIVES_UP_AFTER, "ETCDCTL_API": "3"}
        self.secrets: dict[str, str] = {}
        """What a command printed and the next one needs, by the name that stands for it in a command."""

    # --- running ---

    def _arguments(self, arguments: Sequence[str], endpoints: Sequence[str]) -> list[str]:
        filled = [argument.format(**self.secrets) for argument in arguments]
        return [self._program, f"--endpoints={','.join(endpoints)}", *filled]

    def __call__(
        self, *arguments: str, stdin: str | None = None, at: Sequence[str] | None = None, keep: bool = True
    ) -> str:
        """Run one command; returns what it printed, as it was."""
        command = self._arguments(arguments, at or self.endpoints)
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.directory,
            env=self.environment,
            check=False,
        )
        if keep:
            self._keep(arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, *arguments: str, lines: int, stdin: str | None = None) -> Iterator[None]:
        """A command that goes on by itself until it has said so many lines; then it is interrupted."""
        output = self.directory / f"output-{len(self.said)}"
        with output.open("w") as sink:
            process = subprocess.Popen(
                self._arguments(arguments, self.endpoints),
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=self.directory,
                env=self.environment,
            )
            assert process.stdin is not None
            if stdin is not None:
                process.stdin.write(stdin)
                process.stdin.flush()
            try:
                yield
                wait_until(
                    lambda: len(output.read_text().splitlines()) >= lines or process.poll() is not None,
                    PATIENCE_S,
                    f"etcdctl {' '.join(arguments)} has said {lines} lines: {output.read_text()}",
                )
            finally:
                process.send_signal(signal.SIGINT)
                process.stdin.close()
                process.wait(PATIENCE_S)
        self._keep(arguments, 0, output.read_text(), "")

    def spoken(self) -> int:
        """Lines of the command that runs now."""
        file = self.directory / f"output-{len(self.said)}"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def until_spoken(self, lines: int) -> None:
        wait_until(lambda: self.spoken() >= lines, PATIENCE_S, f"it has said {lines} lines")

    def _keep(self, arguments: Sequence[str], code: int, output: str, complaint: str) -> None:
        errors = [line for line in complaint.splitlines() if line.startswith("Error:")]
        lines = [self.renamed(line) for line in (*output.splitlines(), *errors)]
        if " ".join(arguments).startswith(UNORDERED):
            lines = sorted(_sorted_json(line) for line in lines)
        self.said.append(Said(" ".join(arguments), code, tuple(lines)))

    # --- renaming ---

    def renamed(self, line: str) -> str:
        for node in self.cluster.nodes:
            line = line.replace(f"{LOOPBACK}:{node.etcd_port}", f"{node.name}:clients")
            line = line.replace(f"{LOOPBACK}:{node.peer_port}", f"{node.name}:peers")
        line = line.replace(str(self.directory), "DIRECTORY")
        line = IDENTITY.sub(lambda found: self._names.of(found[0]), line)
        for pattern, instead in MASKS:
            line = pattern.sub(instead, line)
        for pattern, separator in KEYS_OF_A_LEASE:
            line = pattern.sub(lambda found, by=separator: by.join(sorted(found[0].split(by))), line)
        return line.rstrip()

    # --- the cluster ---

    def ask_one(self) -> None:
        """From now on, of what a node answers from what it knows itself: leases, members (to older clients),
        serializable reads.  Another node may be behind."""
        self.endpoints = self.endpoints[:1]

    def members(self) -> dict[str, int]:
        """Their ids by name."""
        with EtcdApi(self.cluster.etcd_addresses[0]) as api:
            return {member.name: member.ID for member in api.call("MemberList").members}

    def let_lead(self, number: int) -> None:
        """This node is the leader when it returns."""
        wanted = self.cluster.nodes[number]
        leader = self.cluster.wait_for_leader()
        if leader is not wanted:
            with EtcdApi(self.cluster.etcd_addresses[self.cluster.nodes.index(leader)]) as api:
                api.call("MoveLeader", targetID=self.members()[wanted.name])
        wait_until(lambda: self.cluster.leader() is wanted, PATIENCE_S, f"{wanted.name} leads")


def _sorted_json(line: str) -> str:
    """The elements of the list in the line, or of the list of members in it, in the order of their texts."""
    found = re.search(r"(?<=\[)\{.*\}(?=\])", line)
    if found is None:
        return line
    parts = sorted(re.split(r"(?<=\}),(?=\{\"(?:Endpoint|endpoint|ID|id)\")", found[0]))
    return line.replace(found[0], ",".join(parts))


def _let_go_of_leases(address: str) -> None:
    """Of an earlier session, which may or may not have expired by now."""
    with EtcdApi(address) as api:
        for lease in api.call("LeaseLeases").leases:
            with suppress(grpc.RpcError):  # just now
                api.call("LeaseRevoke", ID=lease.ID)


def hold(script: Callable[[Session], None], program: str, cluster: EtcdEnsemble | EtcdFace) -> list[Said]:
    _let_go_of_leases(cluster.etcd_addresses[0])
    session = Session(program, cluster)
    script(session)
    return session.said
