"""What may be there after a fault, held against trying every choice of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from allowed import Allowed, Step
from hypothesis import given
from hypothesis import strategies as st

KEYS, TEXTS = st.sampled_from("abc"), st.sampled_from("xyz")
HELD = st.dictionaries(KEYS, TEXTS)
STEPS = st.lists(
    st.builds(Step, st.dictionaries(KEYS, TEXTS | st.none(), min_size=1), st.booleans()), max_size=6
)


def every(held: Mapping[str, str], steps: Sequence[Step]) -> list[dict[str, str]]:
    """All contents that some choice of the unconfirmed steps leads to."""
    states = [dict(held)]
    for step in steps:
        after = [
            {key: text for key, text in {**state, **step.effect}.items() if text is not None}
            for state in states
        ]
        states = after if step.confirmed else [*states, *after]
    return states


@given(HELD, STEPS, HELD)
def test_what_comes_from_a_choice_of_steps_is_told_from_what_does_not(
    held: dict[str, str], steps: list[Step], other: dict[str, str]
) -> None:
    allowed, states = Allowed(held, steps), every(held, steps)
    assert all(allowed.has(state) for state in states)
    assert allowed.has(other) == (other in states)


def test_a_hundred_steps_that_were_refused_are_as_quick_to_settle() -> None:
    """Trying all would take 2**100 of them."""
    steps = [Step({f"k{number % 3}": f"text {number}"}, confirmed=False) for number in range(100)]
    assert Allowed({"a": "kept"}, steps).has({"a": "kept", "k1": "text 40", "k2": "text 98"})
    assert not Allowed({"a": "kept"}, steps).has({"k1": "text 40"})
    assert Allowed({"a": "kept"}, steps).difference({"k1": "text 40"}) == (
        "lost ['a'], not expected ['k1'], with another text []"
    )
