"""How long the judge takes: the timer's answers, the bars, and what a folder asks."""
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from bench.check import (
    BEYOND,
    Judged,
    Timed,
    Weighed,
    as_text,
    beyond_all_means,
    measure_time,
    parsed,
    shared_histories,
)

from agreed.check import linearizable
from agreed.check.models import MODELS, Keyed
from agreed.check.verdict import Budget, Outcome

LOG = """\
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:ok\t:read\t3
"""


def test_what_the_timer_prints_is_read() -> None:
    assert parsed("/a.log\t0.25\tOk\n/b.log\t1e-3\tIllegal\n") == {
        "/a.log": (0.25, "Ok"),
        "/b.log": (0.001, "Illegal"),
    }
    for wrong in ("/a.log 0.25 Ok", "/a.log\tsoon\tOk", "/a.log\t0.25\tUnknown"):
        with pytest.raises(ValueError):
            parsed(wrong)


def test_rounds_go_in_turns_and_the_least_counts(tmp_path: Path) -> None:
    """The timer gets slower each time that it is called."""
    log, timer = tmp_path / "a.log", tmp_path / "timer"
    log.write_text(LOG, encoding="utf-8")
    calls = tmp_path / "calls"
    timer.write_text(f'#!/bin/sh\necho x >> {calls}\nprintf "%s\\t$(wc -l < {calls}).5\\tOk\\n" "$2"\n')
    timer.chmod(timer.stat().st_mode | stat.S_IXUSR)
    (timed,) = measure_time(timer, [log], rounds=3)
    assert (timed.file, timed.operations, timed.ours) == ("a.log", 2, "holds")
    assert (timed.porcupine_s, timed.porcupine) == (1.5, "Ok")
    assert calls.read_text().count("x") == 3
    (alone,) = measure_time(None, [log], rounds=1)
    assert alone.porcupine_s is None


def a_run(
    ours_s: float = 0.5,
    porcupine: str = "Ok",
    ours: str = "holds",
    peak_mib: int = 100,
    outcome: str = "unknown",
) -> Judged:
    timed = [Timed("a.log", 10, 100, ours_s, ours, 1.0, porcupine)]
    return Judged("today", 1, timed, [Weighed("w", outcome, "", 1, 0.1, peak_mib)])


def test_the_bars() -> None:
    assert a_run().holds
    assert a_run(ours="violated", porcupine="Illegal").holds
    assert not a_run(ours_s=0.61).holds
    assert not a_run(peak_mib=1025).holds
    assert not a_run(ours="violated").holds, "the two do not agree"
    assert not a_run(ours="unknown").holds
    assert not a_run(outcome="not as expected").holds


def test_the_tables_say_it() -> None:
    text = as_text(a_run())
    assert "0.5x" in text
    assert "500.00" in text
    alone = Judged("today", 1, [Timed("a.log", 10, 100, 0.5, "holds")], [])
    assert alone.ratio is None
    assert "| a.log" in as_text(alone)


def test_a_folder_says_what_is_to_be_judged_as_what(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.tsv").write_text(
        "file\tformat\tmodel\texpected\n"
        "a.log\tjepsen-log\tcas-register init=nil\tok\n"
        "b.edn\tedn\tcas-register init=0\tillegal\n"
        'c.txt\tedn\t"kv get/put/append init="""" partitioned by key"\tok\n'
        "c.txt\tedn\tkv get/put/append whole-map state (no partition)\tok\n"
        "d.edn\tedn\tmulti-register init x=0 y=0\tok\n"
        "e.edn\tedn\tlist-append\tillegal\n",
        encoding="utf-8",
    )
    found = list(shared_histories(tmp_path))
    assert [(each.file, each.model, each.initial, each.whole) for each in found] == [
        ("a.log", "cas-register", None, False),
        ("b.edn", "cas-register", 0, False),
        ("c.txt", "key-value", None, False),
        ("c.txt", "key-value", None, True),
        ("d.edn", "multi-register", {"x": 0, "y": 0}, False),
    ]
    assert [each.expected for each in found[:2]] == [Outcome.HOLDS, Outcome.VIOLATED]
    assert isinstance(found[3].made_model(), Keyed)


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_all_means_is_not_known(name: str) -> None:
    verdict = linearizable(beyond_all_means(name), MODELS[name](None), Budget(states=20_000))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == "more than 20000 configurations would have to be kept"
