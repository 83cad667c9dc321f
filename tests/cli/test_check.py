"""`agreed check`: which question is put, what it says, and how it ends."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agreed.check.read import jsonlines, watchlines
from agreed.check.watches import Delivered, Watching, Write
from agreed.cli.check import BYTES_OF_A_STATE, HOLDS, MISUSED, UNKNOWN, VIOLATED, command
from agreed.cli.check_properties import PROPERTIES
from tests.check.told import told

FINE = "a 0-1 write 1 \n b 2-3 read -> 1"
STALE = "a 0-1 write 1 \n b 2-3 write 2 \n c 4-5 read -> 1"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with histories, in which we are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.jsonl").write_text(jsonlines.write(told(FINE)), encoding="utf-8")
    (tmp_path / "stale.jsonl").write_text(jsonlines.write(told(STALE)), encoding="utf-8")
    (tmp_path / "broken.edn").write_text("[{:process 0", encoding="utf-8")
    # Of 24 additions at once there are 16 million sums.
    vast = "\n".join(f"c{n} 0-99 add {1 << n}" for n in range(24)) + f"\n r 0-99 read -> {1 + (1 << 24)}"
    (tmp_path / "vast.jsonl").write_text(jsonlines.write(told(vast)), encoding="utf-8")
    return tmp_path


def check(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=stdin)


def test_what_holds_is_said_in_one_line(files: Path) -> None:
    done = check("fine.jsonl")
    assert done.exit_code == HOLDS
    assert done.output.startswith("fine.jsonl: holds: linearizable cas-register (2 operations, ")
    assert done.output.count("\n") == 1


def test_what_does_not_is_shown(files: Path) -> None:
    done = check("fine.jsonl", "stale.jsonl")
    assert done.exit_code == VIOLATED
    assert "stale.jsonl: violated: linearizable cas-register" in done.output
    assert "#2" in done.output


def test_what_is_beyond_the_bounds_is_not_known(files: Path) -> None:
    done = check("vast.jsonl", "fine.jsonl", "--model", "counter", "--memory", "1")
    assert done.exit_code == MISUSED, "a counter cannot be written"
    done = check("vast.jsonl", "--model", "counter", "--memory", "1")
    assert done.exit_code == UNKNOWN
    assert f"more than {2**20 // BYTES_OF_A_STATE} configurations would have to be kept" in done.output
    done = check("vast.jsonl", "--model", "counter", "--seconds", "0.01")
    assert done.exit_code == UNKNOWN
    assert "0.01 s have passed" in done.output


def test_a_violation_is_worse_than_not_knowing(files: Path) -> None:
    lost = told("a 0-1 add 1 \n b 2-3 read -> 0")
    (files / "lost.jsonl").write_text(jsonlines.write(lost), encoding="utf-8")
    done = check("vast.jsonl", "lost.jsonl", "--model", "counter", "--memory", "1")
    assert done.exit_code == VIOLATED


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["broken.edn"], "broken.edn: line 1: { is never closed"),
        (["fine.jsonl", "--model", "queue"], "fine.jsonl: operation 0: a queue knows no 'write'"),
        (["fine.jsonl", "--initial", "[1]", "--model", "counter"], "a counter begins with a whole number"),
        (["fine.jsonl", "--model", "stack"], "'stack' is not one of"),
        (["fine.jsonl", "--property", "fair"], "'fair' is not one of"),
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["fine.jsonl", "stale.jsonl", "--html", "x.html"], "--html draws one history"),
        ([], "Missing argument"),
        (["fine.jsonl", "--seconds", "0"], "--seconds"),
    ],
)
def test_misuse_is_explained(files: Path, arguments: list[str], complaint: str) -> None:
    done = check(*arguments)
    assert done.exit_code == MISUSED
    assert complaint in done.output


def test_no_text_is_misuse(files: Path) -> None:
    (files / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    assert check("bytes.jsonl").exit_code == MISUSED


def test_a_dash_is_the_standard_input(files: Path) -> None:
    assert check("-", stdin=jsonlines.write(told(FINE))).exit_code == HOLDS


def test_for_programs_it_is_json(files: Path) -> None:
    done = check("fine.jsonl", "stale.jsonl", "--json")
    fine, stale = json.loads(done.output)
    assert done.exit_code == VIOLATED
    assert (fine["file"], fine["operations"], fine["verdict"]["outcome"]) == ("fine.jsonl", 2, "holds")
    assert stale["verdict"]["findings"][0]["operations"] == [1, 2]


def test_a_page_is_drawn(files: Path) -> None:
    assert check("stale.jsonl", "--html", "stale.html").exit_code == VIOLATED
    assert "<html" in (files / "stale.html").read_text(encoding="utf-8")


def test_it_begins_as_one_says(files: Path) -> None:
    (files / "read.jsonl").write_text(jsonlines.write(told("a 0-1 read -> 7")), encoding="utf-8")
    assert check("read.jsonl").exit_code == VIOLATED
    assert check("read.jsonl", "--initial", "7").exit_code == HOLDS
    (files / "text.jsonl").write_text(jsonlines.write(told("a 0-1 read -> 'x'")), encoding="utf-8")
    assert check("text.jsonl", "--initial", "x").exit_code == HOLDS


def test_jepsens_pairs_are_keys_if_one_says_so(files: Path) -> None:
    maps = '{"process": 0, "type": "invoke", "f": "write", "value": ["x", 1]}\n'
    maps += '{"process": 0, "type": "ok", "f": "write", "value": ["x", 1]}\n'
    maps += '{"process": 0, "type": "invoke", "f": "read", "value": ["y", null]}\n'
    maps += '{"process": 0, "type": "ok", "f": "read", "value": ["y", null]}\n'
    (files / "pairs.json").write_text(maps, encoding="utf-8")
    assert check("pairs.json").exit_code == VIOLATED
    assert check("pairs.json", "--independent").exit_code == HOLDS


OF_OTHER_FILES = ("grants", "watch", "one-shot-watch")
OF_REGISTERS = [each for each in PROPERTIES if each not in OF_OTHER_FILES and "-" not in each]


@pytest.mark.parametrize("name", OF_REGISTERS)
def test_each_question_can_be_put_to_registers(files: Path, name: str) -> None:
    """A stale read breaks nothing but real time: the three clients never met."""
    done = check("stale.jsonl", "--property", name, "--model", "register")
    assert done.exit_code == (VIOLATED if name == "linearizable" else HOLDS), done.output


def test_each_question_can_be_put_to_transactions(files: Path) -> None:
    append = """
        a 0-1 txn [['append', 'x', 1]] -> [['append', 'x', 1]]
        b 2-3 txn [['r', 'x', None]] -> [['r', 'x', []]]
    """
    (files / "append.jsonl").write_text(jsonlines.write(told(append)), encoding="utf-8")
    assert check("append.jsonl", "--property", "list-append").exit_code == VIOLATED
    assert check("append.jsonl", "--property", "list-append", "--level", "serializable").exit_code == HOLDS
    assert check("append.jsonl", "--property", "list-append", "--level", "no such").exit_code == MISUSED


def test_watches_are_judged_from_their_own_lines(files: Path) -> None:
    written = [Write(1, "/a"), Write(2, "/a", "1")]
    records = [Watching("w", 0), Delivered("w", [])]
    (files / "watch.jsonl").write_text(watchlines.write(records, written), encoding="utf-8")
    assert check("watch.jsonl", "--property", "watch").exit_code == HOLDS
    assert check("watch.jsonl", "--property", "one-shot-watch").exit_code == MISUSED
