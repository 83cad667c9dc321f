"""Tests of Raft: rules of the paper, golden stories, and a random world."""
import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.rules_{part}" for part in ("elections", "log", "members", "reads", "snapshots"))
)
