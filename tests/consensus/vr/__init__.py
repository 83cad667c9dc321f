"""Tests of Viewstamped Replication: rules of the paper, and random worlds with disks and without."""
import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("rules", "rules_recovery", "rules_state_transfer"))
)
