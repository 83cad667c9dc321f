"""What implies what."""
from __future__ import annotations

import pytest

from agreed.check.transactions.anomalies import FORMS, IMPLIES, implied_by, implying
from agreed.check.transactions.models import (
    ALIASES,
    FORBIDS,
    WEAKER,
    at_most,
    boundary,
    forbidden,
    impossible,
    named,
)
from agreed.errors import ConfigurationError


def test_tables_name_only_what_exists() -> None:
    assert {name for names in IMPLIES.values() for name in names} <= set(IMPLIES)
    assert {name for names in WEAKER.values() for name in names} <= set(WEAKER)
    assert {name for names in FORBIDS.values() for name in names} <= set(IMPLIES)
    assert set(FORBIDS) | set(ALIASES.values()) <= set(WEAKER)


def test_nothing_implies_itself_by_way_of_others() -> None:
    for name in IMPLIES:
        assert all(name not in implied_by(frozenset((other,))) for other in IMPLIES[name])
    for model in WEAKER:
        assert all(model not in at_most(weaker) for weaker in WEAKER[model])


@pytest.mark.parametrize("name", ["G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item"])
def test_each_form_is_one_of_the_next(name: str) -> None:
    forms = [name + form for form in FORMS]
    assert implied_by(frozenset(forms[:1])) >= set(forms)
    assert forms[1] not in implied_by(frozenset(forms[2:]))


IMPLICATIONS = [
    ("G0", "G1"),
    ("G0", "G1c-realtime"),
    ("G-single-item", "G2"),
    ("G-single-item-process", "G-nonadjacent-realtime"),
    ("dirty-update", "G1a"),
    ("lost-update", "G2-item"),
    ("future-read", "G1c"),
]


@pytest.mark.parametrize(("one", "other"), IMPLICATIONS)
def test_implications(one: str, other: str) -> None:
    assert other in implied_by(frozenset((one,)))
    assert one in implying((other,))
    assert one not in implied_by(frozenset((other,)))


BOUNDARIES = [
    ("G0", {"read-uncommitted"}),
    ("G1a", {"read-committed"}),
    ("internal", {"read-atomic"}),
    ("lost-update", {"update-atomic", "cursor-stability"}),
    ("G-single-item", {"consistent-view", "repeatable-read"}),
    ("G-nonadjacent-item", {"snapshot-isolation", "repeatable-read"}),
    ("G2-item", {"repeatable-read"}),
    ("G2-item-process", {"strong-session-serializable"}),
    ("G-single-item-realtime", {"strong-snapshot-isolation"}),
    ("G2-item-realtime", {"strict-serializable"}),
]


@pytest.mark.parametrize(("anomaly", "weakest"), BOUNDARIES)
def test_the_weakest_models_ruled_out(anomaly: str, weakest: set[str]) -> None:
    found, stronger = boundary(frozenset((anomaly,)))
    assert set(found) == weakest
    assert not set(found) & set(stronger)
    for model in (*found, *stronger):
        assert anomaly in forbidden((model,)), model


def test_a_model_is_ruled_out_by_exactly_what_it_forbids() -> None:
    for anomaly in IMPLIES:
        for model in WEAKER:
            assert (anomaly in forbidden((model,))) == (model in impossible(frozenset((anomaly,))))


def test_every_anomaly_rules_out_strict_serializability() -> None:
    assert forbidden(("strict-serializable",)) == set(IMPLIES)


def test_names_of_adya_are_understood() -> None:
    assert named("PL-3") == "serializable"
    assert at_most("PL-2") == {"read-committed", "read-uncommitted"}
    with pytest.raises(ConfigurationError, match="'best effort' is no model"):
        named("best effort")
