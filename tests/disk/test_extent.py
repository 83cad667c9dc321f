"""An extent answers as a plain list of terms would."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agreed.disk.extent import Extent
from tests.disk.workload import entry

changes = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.booleans()), max_size=40)


@given(st.integers(0, 5), changes)
def test_an_extent_answers_as_a_list_of_terms_would(base: int, steps: list[tuple[int, int, bool]]) -> None:
    """Each step goes `back` positions behind the end and puts an entry there, or, seldom, starts anew."""
    extent = Extent(base, 9)
    model = {base: 9}
    for back, term, anew in steps:
        last = max(model)
        if anew and back == 0:
            extent.start_after(last + 3, term)
            model = {last + 3: term}
            continue
        index = max(min(model) + 1, last + 1 - back)
        assert extent.accepts(index)
        assert not extent.accepts(last + 2)
        extent.put(entry(index, term))
        model = {at: known for at, known in model.items() if at < index} | {index: term}
        assert extent.last_index == index
        assert extent.last_term == term
    assert {index: extent.term_at(index) for index in model} == model
    assert extent.term_at(min(model) - 1) is None
    assert extent.term_at(max(model) + 1) is None


def test_an_entry_below_the_base_moves_the_base() -> None:
    """The file that held entries 1 to 100 is gone; the next one begins by replacing 50 and what follows."""
    extent = Extent(100, 1)
    extent.put(entry(50, 2))
    extent.put(entry(51, 2))
    assert (extent.base_index, extent.last_index, extent.term_at(50)) == (49, 51, 2)
    assert extent.term_at(100) is None
