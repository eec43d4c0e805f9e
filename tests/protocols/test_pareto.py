from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.pareto import Candidate, front

number = st.one_of(st.none(), st.integers(0, 5).map(float))


def test_the_front_rises_with_the_cost() -> None:
    candidates = [
        Candidate("dear and best", 0.9, 30.0),
        Candidate("dear and worse", 0.7, 20.0),
        Candidate("cheap", 0.8, 10.0),
        Candidate("cheapest", 0.5, 1.0),
        Candidate("never timed", 0.99, None),
        Candidate("no score", None, 0.5),
    ]
    assert front(candidates) == ["cheapest", "cheap", "dear and best"]


def test_equals_are_on_the_front_together() -> None:
    twins = [Candidate("a", 0.9, 5.0), Candidate("b", 0.9, 5.0), Candidate("dearer", 0.9, 6.0)]
    assert front(twins) == ["a", "b"]
    assert front([*twins, Candidate("better", 0.95, 5.0)]) == ["better"]
    assert front([]) == []


@given(st.lists(st.tuples(number, number), max_size=12))
def test_the_front_is_who_nobody_beats(pairs: list[tuple[float | None, float | None]]) -> None:
    candidates = [Candidate(str(i), quality, cost) for i, (quality, cost) in enumerate(pairs)]
    known = [c for c in candidates if c.quality is not None and c.cost is not None]

    def beats(a: Candidate, b: Candidate) -> bool:
        as_good = a.quality >= b.quality and a.cost <= b.cost
        return as_good and (a.quality > b.quality or a.cost < b.cost)

    best = [c for c in known if not any(beats(other, c) for other in known)]
    assert sorted(front(candidates)) == sorted(c.id for c in best)
    costs = [next(c.cost for c in known if c.id == name) for name in front(candidates)]
    assert costs == sorted(costs)
