"""What who types `pip install agreed` gets: build the wheel, install it where nothing else is, and use it.

    .venv/bin/python tools/check_wheel.py [--keep DIRECTORY] [--runs 11]

    build       the wheel, by whatever pyproject.toml says
    install     into an environment of its own, outside of this tree
    size        of what was installed, by package
    import      fresh interpreters, isolated; the median of what `import` takes in them
    use         `agreed --help`, `python -m agreed`, the example that README.md begins with (it is read from
                the wheel, and meets `agreed dev`), and the fixtures, by a pytest that finds them

It ends with 1 where something does not work, or a bar is missed.  Times are those of this machine now: look
at them when nothing else runs.  It needs a package index that pip can reach.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_string
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent

IMPORT_MS = 100.0
PLUGIN_MS = 30.0
INSTALLED_BYTES = 36_000_000

IMPORTS = {
    "import agreed": ("", "import agreed"),
    "and agreed.connect": ("", "import agreed; agreed.connect"),
    "and agreed.aio": ("", "import agreed; agreed.aio"),
    "agreed --help": ("", "import agreed.cli.main"),
    "the plugin, in pytest": ("import pytest", "import agreed.testing.plugin"),
}
"""What is measured: (what is there already, what is timed)."""

PYTEST = """
import agreed

def test_a_lock(zk_server):
    with agreed.connect(zk_server.url) as client, client.lock("orders") as held:
        held.check()
    zk_server.assert_no_ephemerals_left()

def test_a_lease(etcd_server):
    with agreed.connect(etcd_server.url) as client:
        assert client.election("orders").leader() is None
"""


@dataclass
class Report:
    """Bytes, and milliseconds."""

    wheel_bytes: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    import_ms: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{'the wheel':<28}{self.wheel_bytes / 1e6:>10.2f} MB"]
        for name, size in sorted(self.sizes.items(), key=lambda each: -each[1]):
            lines.append(f"    {name:<24}{size / 1e6:>10.2f} MB")
        lines.append(f"{'installed':<28}{sum(self.sizes.values()) / 1e6:>10.2f} MB")
        lines += [f"{what:<28}{ms:>10.1f} ms" for what, ms in self.import_ms.items()]
        return "\n".join(lines)

    def missed(self) -> list[str]:
        """The bars."""
        found = []
        if sum(self.sizes.values()) > INSTALLED_BYTES:
            found.append(f"more than {INSTALLED_BYTES / 1e6:.0f} MB are installed")
        for what, bar in (("import agreed", IMPORT_MS), ("the plugin, in pytest", PLUGIN_MS)):
            if self.import_ms[what] >= bar:
                found.append(
                    f"{what} takes {self.import_ms[what]:.0f} ms, and should take less than {bar:.0f}"
                )
        return found


NO_INDEX = re.compile(
    "No matching distribution|Could not find a version|[Cc]onnection|timed out|[Rr]esolution"
)


class CannotInstall(Exception):
    """No package index can be reached; the text is what pip says."""


def run(command: Sequence[object], directory: Path) -> str:
    """Raises CalledProcessError, with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        done.check_returncode()
    return done.stdout


class Installed:
    """The wheel in an environment of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.wheel = self._build()
        venv.create(directory / "venv", with_pip=False)
        self.python = directory / "venv" / "bin" / "python"
        self.pip_install(self.wheel)

    def _build(self) -> Path:
        self._pip("wheel", "--no-deps", "--wheel-dir", self.directory, ROOT)
        [wheel] = self.directory.glob("agreed-*.whl")
        return wheel

    def pip_install(self, *packages: object) -> None:
        self._pip("--python", self.python, "install", *packages)

    def _pip(self, *words: object) -> None:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
        try:
            run(pip, self.directory)
        except subprocess.CalledProcessError as error:
            if NO_INDEX.search(error.stderr):
                raise CannotInstall(error.stderr[-2000:]) from error
            raise

    def sizes(self) -> dict[str, int]:
        """By package, with the bytecode that pip makes."""
        [place] = (self.directory / "venv" / "lib").glob("python*/site-packages")
        return {
            each.metadata["Name"]: sum(
                path.stat().st_size
                for path in (Path(str(file.locate())) for file in each.files or ())
                if path.exists()
            )
            for each in distributions(path=[str(place)])
        }

    def say(self, program: str) -> str:
        return run([self.python, "-I", "-c", program], self.directory)

    def import_ms(self, before: str, timed: str, runs: int) -> float:
        program = (
            f"import time\n{before}\nbegan = time.perf_counter()\n{timed}\n"
            "print((time.perf_counter() - began) * 1000)"
        )
        return statistics.median(float(self.say(program)) for _ in range(runs))

    def example(self) -> str:
        """The first Python of the text that a package index shows."""
        with ZipFile(self.wheel) as wheel:
            [name] = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
            text = message_from_string(wheel.read(name).decode()).get_payload()
        found = re.search(r"^```python\n(.*?)^```$", str(text), re.MULTILINE | re.DOTALL)
        assert found is not None, "README.md begins with an example"
        return found[1]

    def play_example(self) -> None:
        """Against `agreed dev`, which takes other ports where the usual ones are taken."""
        agreed = self.python.with_name("agreed")
        with subprocess.Popen(
            [agreed, "dev"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.directory
        ) as dev:
            assert dev.stdout is not None
            try:
                said = ""
                while "Ctrl-C ends" not in said:
                    line = dev.stdout.readline()
                    assert line, f"agreed dev has ended:\n{said}"
                    said += line
                addresses = re.findall(r"^ +n\d   ZooKeeper (\S+)", said, re.MULTILINE)
                text = self.example()
                for number, address in enumerate(addresses):
                    text = text.replace(f"127.0.0.1:{2181 + number}", address)
                self.say(text)
            finally:
                dev.terminate()
                dev.stdout.read()

    def use(self) -> None:
        """Raises where something does not work."""
        agreed = self.python.with_name("agreed")
        for command in (
            [agreed, "--help"],
            [self.python, "-m", "agreed", "version"],
            [agreed, "lock", "--help"],
        ):
            assert run(command, self.directory)
        self.play_example()
        (self.directory / "test_fixtures.py").write_text(PYTEST, encoding="utf-8")
        told = run(
            [self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fixtures.py"], self.directory
        )
        assert "2 passed" in told, told


def check(directory: Path, runs: int) -> Report:
    installed = Installed(directory)
    report = Report(installed.wheel.stat().st_size, installed.sizes())
    installed.pip_install("pytest")
    report.import_ms = {
        what: installed.import_ms(before, timed, runs) for what, (before, timed) in IMPORTS.items()
    }
    installed.use()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the wheel, install it elsewhere, and use it.")
    parser.add_argument("--keep", type=Path, help="a directory that is empty, and stays")
    parser.add_argument("--runs", type=int, default=11, help="of which the median is told")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agreed-wheel-") as temporary:
        directory = given.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = check(directory, given.runs)
    print(report)
    for sentence in report.missed():
        print(f"missed: {sentence}", file=sys.stderr)
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
