"""The simulator notices who breaks a rule: some mutants, each by a seed that is known; and the list is whole.

How many seeds it takes in general is measured by `make mutants`, and told in docs/mutants.md."""
from __future__ import annotations

from pathlib import Path

import pytest

from agreed.sim.run import run
from tests.sim import kill_matrix
from tests.sim.kill_matrix import Kill, Trial, keep, publish, read_kept, told, try_out
from tests.sim.mutants import ALL, number_of
from tests.sim.mutants.grounds import GROUNDS

LIST = {"R": 39, "P": 13, "V": 11, "Z": 11, "T": 10, "C": 8, "E": 15}
NUMBERS = [f"{family}{number}" for family, most in LIST.items() for number in range(1, most + 1)]


def test_every_mistake_of_the_list_is_made_by_somebody() -> None:
    assert list(dict.fromkeys(map(number_of, ALL))) == NUMBERS
    assert {profile for mutant in ALL.values() for profile in mutant.profiles} <= set(GROUNDS)
    for number, mutant in zip(map(number_of, ALL), ALL.values(), strict=True):
        named = mutant.rule.partition(": ")[0].split(", ")
        assert number in named, f"{mutant.name} does not tell its rule"
        assert mutant.profiles


def test_every_mutant_is_told_of_and_killed() -> None:
    page = kill_matrix.PUBLISHED.read_text(encoding="utf-8")
    for mutant in ALL.values():
        assert f"| {mutant.id} `{mutant.name}` | {mutant.rule.partition(': ')[2]} |" in page
    assert "survives" not in page


KILLED: list[tuple[str, str, int, str]] = [
    ("R1", "swarm", 20000, "a vote before it is durable"),
    ("R2", "swarm", 0, "a vote before it is durable"),
    ("R3", "swarm", 8, "a vote for a log that lacks something"),
    ("R4", "network", 162, "a vote for a log that lacks something"),
    ("R5", "swarm", 12, "a vote for a log that lacks something"),
    ("R6", "network", 20011, "an older term is committed by counting"),
    ("R7", "network", 2, "state-machine safety"),
    ("R8", "network", 20001, "committed and not durable"),
    ("R9", "network", 1, "state-machine safety"),
    ("R10", "network", 20005, "state-machine safety"),
    ("R11", "swarm", 1, "a commit goes back"),
    ("R12", "network", 1, "a match goes back"),
    ("R13", "network", 20019, "elected without a quorum"),
    ("R15", "swarm", 20000, "elected without a quorum"),
    ("R16", "disk", 0, "our own log counts once saved"),
    ("R17", "disk", 20000, "committed and not durable"),
    ("R19", "swarm", 10002, "state-machine safety"),
    ("R20", "network", 10672, "terms do not go down"),
    ("R26", "clock", 174, "a lease while another leads"),
    ("R27", "clock", 88, "a lease while another leads"),
    ("R28", "membership", 6, "two changes of members at once"),
    ("R32", "swarm", 10004, "states differ"),
    ("R33", "network", 20001, "done twice"),
    ("R34", "swarm", 20000, "committed and not durable"),
    ("R35", "swarm", 10000, "a timer restarted for who neither leads nor got a vote"),
    ("R37", "disk", 2, "what was saved is gone"),
    ("R38", "disk", 20042, "what was saved is gone"),
    ("R39", "disk", 32, "a sound disk is refused"),
    ("C1", "swarm", 10005, "a false answer"),
    ("C2", "swarm", 10004, "a false answer"),
    ("C3", "swarm", 10010, "done twice"),
    ("C4", "swarm", 10003, "time goes back"),
    ("C5", "swarm", 2, "an answer before the event"),
    ("C6", "network", 66, "an ephemeral node is lost"),
    ("C7", "clock", 2, "an ephemeral node outlives its session"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "profile", "seed", "failure"), KILLED, ids=[each[0] for each in KILLED])
def test_a_mutant_is_killed(number: str, profile: str, seed: int, failure: str) -> None:
    outcome = run(seed, profile, parts=ALL[number].parts)
    assert outcome.failure == failure, outcome.message


@pytest.mark.parametrize(("profile", "seed"), sorted({(profile, seed) for _, profile, seed, _ in KILLED}))
def test_who_is_right_is_not_accused(profile: str, seed: int) -> None:
    outcome = run(seed, profile)
    assert outcome.failure is None, outcome.message


# --- the matrix itself ------------------------------------------------------------------------------------


def test_a_trial_counts_seeds_until_the_mutant_fails() -> None:
    trial = try_out(ALL["R15"], "swarm", [0, 100], seeds=50, seconds=60)
    assert trial.killed
    assert [kill.seed - start for kill, start in zip(trial.kills, (0, 100), strict=True)] == [
        kill.seeds - 1 for kill in trial.kills
    ]


def test_who_outlives_its_seeds_survives() -> None:
    trial = try_out(ALL["C8"], "swarm", [5], seeds=0, seconds=60)
    assert not trial.killed
    assert "SURVIVES" in kill_matrix.line(trial)
    assert told([trial], ["C8"]) == ("0 of 1 killed; C8 survive", 1)


def test_trials_are_kept_and_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = tuple(Kill(seed, seed + 1, 0.5, 0.1, "a false answer") for seed in (1, 3, 8))
    trials = [Trial(number, "swarm", kills, 3) for number in ALL]
    file, page = tmp_path / "kept", tmp_path / "mutants.md"
    for trial in trials:
        keep(file, trial)
    assert read_kept(file) == trials
    page.write_text("before\n<!-- table -->\nformer table\n<!-- end of table -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(kill_matrix, "PUBLISHED", page)
    publish(trials, 400)
    text = page.read_text(encoding="utf-8")
    assert f"{len(ALL)} of {len(ALL)} killed, half of them by 4 seeds or fewer." in text
    assert "### Multi-Paxos\n\n| mutant | the rule it breaks | swarm | seconds | noticed as |" in text
    assert "| C2 `ReadsWhatItRemembers` | a read tells what is there, and not what was. | 4 | 0.5 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "former table" not in text
