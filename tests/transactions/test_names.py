"""Names of branches: read back as they were given, and never taken for somebody else's."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.transactions.errors import Refused
from agreed.transactions.names import (
    FORMAT,
    BranchName,
    check_branch,
    is_transaction,
    new_cluster,
    new_transaction,
    parse,
)

branches = st.from_regex(r"[A-Za-z0-9_.-]{1,48}", fullmatch=True)


@given(branches)
def test_a_name_is_read_as_it_was_written(branch: str) -> None:
    name = BranchName(new_cluster(), new_transaction(), check_branch(branch))
    assert parse(name.text) == name
    assert parse(f"{name.global_part}:{name.branch}") == name


@given(st.text())
def test_what_is_no_name_of_ours_is_none(text: str) -> None:
    assert parse(text) is None


def test_it_fits_where_databases_put_it() -> None:
    longest = BranchName(new_cluster(), new_transaction(), "b" * 48)
    assert len(longest.text.encode()) < 200  # PostgreSQL
    assert len(longest.global_part.encode()) <= 64  # XA
    assert len(longest.branch.encode()) <= 64
    assert 0 <= FORMAT < 2**31


@pytest.mark.parametrize("name", ["", "b" * 49, "a b", "a:b", "a'b", "é", "a\n"])
def test_a_branch_that_could_not_be_quoted_or_would_not_fit_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        check_branch(name)


@pytest.mark.parametrize(
    "text",
    [
        "agreed:5f0c2b6a91d3e847:0123456789abcdef0123456789abcdef:",
        "agreed:5f0c2b6a91d3e84:0123456789abcdef0123456789abcdef:a",
        "agreed:5f0c2b6a91d3e847:0123456789abcdef0123456789abcde:a",
        "agreed:5F0C2B6A91D3E847:0123456789abcdef0123456789abcdef:a",
        "agree:5f0c2b6a91d3e847:0123456789abcdef0123456789abcdef:a",
        "agreed:5f0c2b6a91d3e847:0123456789abcdef0123456789abcdef:a:b",
    ],
)
def test_what_looks_like_one_is_none(text: str) -> None:
    assert parse(text) is None


def test_no_two_transactions_are_called_alike() -> None:
    names = {new_transaction() for _ in range(1000)}
    assert len(names) == 1000
    assert all(is_transaction(name) for name in names)
