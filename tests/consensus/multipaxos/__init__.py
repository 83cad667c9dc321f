"""Tests of Multi-Paxos: rules of the papers, the forms of messages and disk, and a random world."""
import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.rules_{part}" for part in ("phase1", "phase2", "reads", "snapshots"))
)
