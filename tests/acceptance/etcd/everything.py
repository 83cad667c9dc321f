"""All questions, in their order; `python -m tests.acceptance.etcd.everything` records what a real etcd 3.5.1
answers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.acceptance.etcd import (
    questions_auth,
    questions_cluster,
    questions_gateway,
    questions_kv,
    questions_streams,
)
from tests.acceptance.etcd.api import EtcdApi
from tests.acceptance.etcd.ensemble import EtcdEnsemble
from tests.acceptance.etcd.interview import Interview
from tests.acceptance.etcd.questions_situations import Situations

RECORDED = Path(__file__).parents[1] / "recorded"
RECORDED_VERSION = (3, 5, 1)

CHAPTERS = (
    questions_kv.about_keys,
    questions_kv.about_transactions,
    questions_kv.about_compaction,
    questions_kv.about_leases,
    questions_streams.about_watches,
    questions_cluster.about_alarms,
    questions_cluster.about_maintenance,
    questions_cluster.about_members,
    questions_streams.about_locks,
    questions_streams.about_limits,
    questions_auth.about_authentication,
)


SITUATIONS = "etcd-situations-3.5.1"
OF_ONE = (questions_cluster.about_members,)
"""Chapters that can be asked only of a cluster of one."""
HEADING = "== "


def ask_everything(address: str, nodes: int) -> list[str]:
    """Of a cluster without any keys; the name of each chapter stands before it."""
    with EtcdApi(address) as api:
        interview = Interview(api)
        for chapter in CHAPTERS:
            interview.lines.append(f"{HEADING}{chapter.__name__}")
            if nodes == 1 or chapter not in OF_ONE:
                chapter(interview)
        return interview.lines


def ask_gateway(address: str, nodes: int) -> list[str]:
    return questions_gateway.ask_gateway(address)


INTERVIEWS: Mapping[str, Callable[[str, int], list[str]]] = {
    "etcd-3.5.1": ask_everything,
    "etcd-gateway-3.5.1": ask_gateway,
}
"""By the name of their record."""


def recorded(name: str, nodes: int = 1) -> list[str]:
    """What is to be answered by so many nodes."""
    lines = [line for line in (RECORDED / f"{name}.txt").read_text().splitlines() if not line.startswith("#")]
    return lines if nodes == 1 else without(lines, [chapter.__name__ for chapter in OF_ONE])


def without(lines: Sequence[str], chapters: Sequence[str]) -> list[str]:
    kept, wanted = [], True
    for line in lines:
        if line.startswith(HEADING):
            wanted = line.removeprefix(HEADING) not in chapters
        if wanted or line.startswith(HEADING):
            kept.append(line)
    return kept


def record() -> None:
    for name, interview in INTERVIEWS.items():
        with EtcdEnsemble(1) as etcd:
            assert etcd.programs.version() == RECORDED_VERSION
            lines = [
                "# What a real etcd 3.5.1 answers: tests.acceptance.etcd.everything.",
                *interview(etcd.etcd_addresses[0], 1),
            ]
        (RECORDED / f"{name}.txt").write_text("\n".join(lines) + "\n")
    with EtcdEnsemble(3) as etcd:
        lines = [
            "# What three nodes of a real etcd 3.5.1 do: tests.acceptance.etcd.everything.",
            *Situations(etcd).ask_all(),
        ]
    (RECORDED / f"{SITUATIONS}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    record()
