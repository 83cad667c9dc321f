"""Runs python-etcd3's own tests, which ship in its source distribution, against three nodes, and counts.

`python -m tests.acceptance.etcd.python_etcd3` (or `--server etcd` for the yardstick).  The library wants a
protobuf from before version 4, so it is installed into an environment of its own, below `.peers`, once.

Most of the time is spent in the suite's own sleeps, so it is shared out among workers, each with a cluster of
its own: the tests empty the store after themselves.  The nodes are named as the suite expects it.  For reads
without a quorum it looks for two of them by their command lines and stops them; as a second worker's nodes
would be found too, all such tests go to one worker, after the others.

Some of its tests sleep for a second or two and then ask what a lease has come to, which a machine with much
else to do answers otherwise.  So a test that fails is run once more, by itself on a cluster of its own, and
is named in `again`; one that fails twice has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile
import time
import venv
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from agreed.torture.launch import ends_with_us
from tests.acceptance.etcd.ensemble import EtcdEnsemble, EtcdFace, packaged

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / ".peers" / "python-etcd3"
VERSION = "0.12.0"
LIBRARIES = ("protobuf<3.21", "grpcio", "tenacity==6.1.0", "six", "mock", "pytest<10", "hypothesis>=6")
PATIENCE_S = 900
SECOND_CHANCES_MOST = 3
"""With more failures than these it is not the machine that is slow."""

WITHOUT_QUORUM = ("test_get_key_serializable", "test_get_prefix_serializable")
ENABLES_USERS = "test_user_pwd_auth"
"""It enables authentication, and does not succeed in disabling it: it comes last of all."""
SHARES = (
    "watch_key or watch_prefix_callback or sequential or test_lock_acquire or delete",
    "lease or lock_refresh or watch_prefix or watch_iterator",
    "",
)
"""Parts of names for all workers but the last, which gets the rest."""


@dataclass
class Outcome:
    """Names are `Class::test`; `failed` has the reason with each."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{len(self.passed)} passed, {len(self.failed)} failed in {self.seconds:.0f} s" + (
            f"; passed the second time: {', '.join(self.again)}" if self.again else ""
        )


class CannotInstall(Exception):
    """The text is what pip says."""


def install() -> Path:
    """The directory of the suite; beside it is the environment.  Raises `CannotInstall`."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:  # two tests want it, and one of them beside the others
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _installed()


def _installed() -> Path:
    suite = PLACE / f"etcd3-{VERSION}"
    if (PLACE / "ready").exists():
        return suite
    venv.create(PLACE / "venv", with_pip=True)
    pip = [str(PLACE / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    source = f"etcd3=={VERSION}"
    for command in (
        [*pip, "install", *LIBRARIES],
        [*pip, "download", "--no-deps", "--no-binary=:all:", "-d", str(PLACE), source],
        ["tar", "xzf", str(PLACE / f"etcd3-{VERSION}.tar.gz"), "-C", str(PLACE)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise CannotInstall(done.stderr[-2000:])
    (PLACE / "ready").touch()
    return suite


class Pifpaf:
    """The names of the nodes in the suite."""

    def node_name(self, number: int) -> str:
        return f"pifpaf{number - 1}"


class OurNodes(Pifpaf, EtcdFace):
    pass


class RealNodes(Pifpaf, EtcdEnsemble):
    pass


def start_worker(suite: Path, chosen: str, address: str, directory: Path) -> subprocess.Popen[bytes]:
    programs = packaged()
    assert programs is not None
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "PYTEST_"))
    }
    environment |= {
        "PATH": f"{Path(programs.etcd).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHON_ETCD_HTTP_URL": f"http://{address}",
        "TEST_ETCD_VERSION": "v3.5.1",
    }
    if chosen == ENABLES_USERS:
        # It calls etcdctl without an address, and the library's modules without the library's name.
        environment["ETCDCTL_ENDPOINTS"] = address
        environment["PYTHONPATH"] += f"{os.pathsep}{suite / 'etcd3'}"
    directory.mkdir()
    command = [
        *(str(PLACE / "venv" / "bin" / "python"), "-m", "pytest", "-q", "-W", "ignore"),
        *("-p", "no:cacheprovider", "-p", "python_etcd3_plugin", "-k", chosen),
        *(f"--junitxml={directory / 'outcome.xml'}", "tests"),
    ]
    with (directory / "output.log").open("wb") as output:
        return subprocess.Popen(
            ends_with_us(command),
            cwd=suite,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def run_suite(server: str = "ours") -> Outcome:
    suite = install()
    started = time.monotonic()
    outcome = Outcome()
    named = " or ".join(filter(None, SHARES))
    alone = " or ".join((*WITHOUT_QUORUM, ENABLES_USERS))
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="python-etcd3-")))
        clusters = [
            stack.enter_context(OurNodes(3) if server == "ours" else RealNodes(3)) for _ in range(len(SHARES))
        ]
        rests = [f"({share}) and not ({alone})" for share in SHARES[:-1]]
        rests = [without_earlier(rests, number) for number in range(len(rests))]
        rests.append(f"not ({named}) and not ({alone})")
        workers = [
            start_worker(suite, chosen, cluster.etcd_addresses[0], directory / str(number))
            for number, (chosen, cluster) in enumerate(zip(rests, clusters, strict=True))
        ]
        for worker in workers:
            worker.wait(PATIENCE_S)
        for chosen in (" or ".join(WITHOUT_QUORUM), ENABLES_USERS):
            last = start_worker(
                suite, chosen, clusters[0].etcd_addresses[0], directory / f"last {chosen[-4:]}"
            )
            last.wait(PATIENCE_S)
        for file in sorted(directory.glob("*/outcome.xml")):
            read(file, outcome)
    if 0 < len(outcome.failed) <= SECOND_CHANCES_MOST:
        _second_chance(suite, server, outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _second_chance(suite: Path, server: str, outcome: Outcome) -> None:
    """Exactly those that failed, each in a cluster of its own: one of them may leave users behind."""
    for failed in list(outcome.failed):
        with (
            tempfile.TemporaryDirectory(prefix="python-etcd3-") as name,
            OurNodes(3) if server == "ours" else RealNodes(3) as cluster,
        ):
            directory = Path(name) / "again"
            test = failed.rpartition("::")[2]
            chosen = ENABLES_USERS if test == ENABLES_USERS else failed.replace("::", " and ")
            start_worker(suite, chosen, cluster.etcd_addresses[0], directory).wait(PATIENCE_S)
            second = Outcome()
            read(directory / "outcome.xml", second)
        if failed in second.passed:
            outcome.again[failed] = outcome.failed.pop(failed)
            outcome.passed.add(failed)


def without_earlier(chosen: list[str], number: int) -> str:
    """So that no test is run by two workers."""
    return " and ".join([chosen[number], *(f"not ({earlier})" for earlier in chosen[:number])])


def read(file: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        if problem is not None:
            outcome.failed[name] = (problem.text or "")[-3000:]
        elif case.find("skipped") is not None:
            outcome.skipped.add(name)
        else:
            outcome.passed.add(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=("ours", "etcd"), default="ours")
    outcome = run_suite(parser.parse_args().server)
    for name, reason in outcome.failed.items():
        print(f"FAILED {name}\n{reason}")
    print(outcome)
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
