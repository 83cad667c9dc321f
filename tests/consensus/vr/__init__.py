"""Tests of Viewstamped Replication: rules of the paper, and a random world."""
import pytest

pytest.register_assert_rewrite(f"{__name__}.rules", f"{__name__}.rules_recovery")
