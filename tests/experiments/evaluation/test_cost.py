"""Timing in turn, the search for the cheapest solver, and from how many samples a generator pays off."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evaluation import cost as module
from experiments.evaluation.cost import Assessment, Candidate, in_turn, search, timed, timing
from experiments.evaluation.entries import SolverRow, Timing
from experiments.evaluation.results import Cost


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless a function under test moves it."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


@pytest.fixture
def takes(clock):
    """``(name, seconds, calls) -> function`` that notes its calls and takes the next of these times."""

    def make(name, seconds, calls):
        left = list(seconds)

        def call():
            calls.append(name)
            clock.seconds += left.pop(0) if len(left) > 1 else left[0]
            return np.ones((4, 2, 1))

        return call

    return make


def test_a_function_is_timed_with_its_result(clock, takes):
    result, seconds = timed(takes("a", [2.5], []))
    assert result.shape == (4, 2, 1) and seconds == 2.5


def test_seconds_per_sample_are_median_smallest_and_largest():
    assert timing([4.0, 2.0, 12.0], 2) == Timing(2.0, 1.0, 6.0, 3)


def test_functions_are_timed_in_turn_and_the_first_calls_do_not_count(takes):
    calls = []
    timings = in_turn(
        {"a": takes("a", [100.0, 1.0, 3.0, 2.0], calls), "b": takes("b", [50.0, 10.0], calls)}, repeats=3, count=10
    )
    assert calls == ["a", "b"] * 4
    assert timings == {"a": Timing(0.2, 0.1, 0.3, 3), "b": Timing(1.0, 1.0, 1.0, 3)}


def unstable():
    raise ValueError("unstable at this step")


def infinite():
    return np.full((4, 2, 1), np.inf)


def test_candidates_are_judged_from_the_cheapest_up_and_failed_ones_stay_with_the_reason(takes):
    calls, said = [], []
    candidates = [
        Candidate({"dt": 0.1}, takes("fine", [50.0, 4.0, 5.0, 2.0], calls)),
        Candidate({"dt": 0.5}, unstable),
        Candidate({"dt": 0.9}, infinite),
        Candidate({"dt": 0.2}, takes("coarse", [50.0, 1.0], calls)),
        Candidate({"dt": 0.01}, takes("finer", [50.0, 4.9, 5.0], calls)),
        Candidate({"dt": 0.001}, takes("finest", [50.0, 40.0], calls)),
    ]

    def assess(samples):
        assert samples.shape == (4, 2, 1)
        good = calls[-1] != "coarse"
        return Assessment(good, {"auc": 0.5 if good else 0.9}, "" if good else "spectrum, values")

    rows, generator = search(
        candidates, assess, takes("generator", [9.0, 1.0], calls), count=4, repeats=3,
        progress=lambda done, total, what: said.append(what),
    )  # fmt: skip
    fine, failed, not_finite, coarse, finer, finest = rows
    # Those that are as good are timed again, warm and in turn with the generator; the others keep their one timing.
    assert fine == SolverRow({"dt": 0.1}, Timing(0.5, 0.5, 0.5, 3), True, {"auc": 0.5})
    assert failed == SolverRow({"dt": 0.5}, None, False, {}, "unstable at this step")
    assert not_finite.failed == "the solver's fields are not finite" and not_finite.timing is None
    assert coarse == SolverRow({"dt": 0.2}, Timing(0.25, 0.25, 0.25, 1), False, {"auc": 0.9}, None, "spectrum, values")
    # Within the error of one timing of the cheapest that is as good.
    assert finer.reaches and finer.timing.repeats == 3
    # Dearer than one that is as good: its quality was not looked at.
    assert finest == SolverRow({"dt": 0.001}, Timing(10.0, 10.0, 10.0, 1), None, {})
    each = ["fine", "coarse", "finer", "finest"]
    assert calls[:11] == [name for name in each for _ in range(2)] + ["coarse", "fine", "finer"]
    assert calls[11:] == ["generator", "fine", "finer"] * 4
    assert generator == Timing(0.25, 0.25, 0.25, 3)
    assert len(set(said)) == 3


def test_what_is_spent_once_is_kept_apart_from_what_a_sample_costs(takes):
    calls = []
    candidates = [
        # 30 for a start, after which four samples take 2; and four samples that take 4 without any start.
        Candidate({"stride": 1.0}, takes("start", [32.0], calls), takes("further", [9.0, 2.0], calls)),
        Candidate({"stride": None}, takes("each", [50.0, 4.0], calls)),
    ]
    (strides, each), _ = search(
        candidates, lambda samples: Assessment(True, {}), takes("generator", [1.0], calls), count=4, repeats=3
    )
    assert strides == SolverRow({"stride": 1.0}, Timing(0.5, 0.5, 0.5, 3), True, {}, start_seconds=30.0)
    assert each.start_seconds == 0.0 and each.reaches is None
    assert calls.count("start") == 2 and calls[-2:] == ["generator", "further"]


def test_every_candidate_is_judged_where_none_is_as_good(takes):
    candidates = [Candidate({"dt": dt}, takes(str(dt), [1.0], [])) for dt in (0.1, 0.2, 0.4)]
    rows, generator = search(candidates, lambda samples: Assessment(False, {"auc": 1.0}), lambda: 0, count=4, repeats=2)
    assert [row.reaches for row in rows] == [False] * 3 and generator.repeats == 2


def test_faults_of_the_program_are_not_failures_of_a_candidate():
    def broken():
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        search([Candidate({}, broken)], lambda samples: Assessment(True, {}), lambda: np.ones(3), count=3, repeats=1)


def row(seconds, reaches=True, start=0.0):
    each = None if seconds is None else Timing(seconds, seconds, seconds, 1)
    return SolverRow({"seconds": seconds}, each, reaches, {}, start_seconds=start)


def cost(generator, reference, rows=(), data=0.0, training=0.0):
    return Cost("as good", row(generator).timing, None, row(reference), tuple(rows), data, training)


def test_the_cheapest_solver_is_the_cheapest_that_is_as_good_and_the_reference_otherwise():
    rows = [row(3.0), row(2.0), row(1.0, reaches=False), row(None)]
    assert cost(0.5, 4.0, rows).cheapest == rows[1]
    assert cost(0.5, 1.5, rows).cheapest == row(1.5)
    assert cost(0.5, 4.0, rows[2:]).cheapest == row(4.0)
    assert cost(0.5, 4.0, rows).advantage == 4.0


seconds = st.floats(1e-6, 1e3)


@given(seconds, seconds, st.floats(0, 1e6), st.floats(0, 1e6))
def test_break_even_is_the_first_number_of_samples_from_which_the_generator_costs_no_more(own, solver, data, training):
    found = cost(own, solver, data=data, training=training)
    assert found.advantage == pytest.approx(solver / own)
    if solver <= own:
        assert found.break_even is None
        return

    def behind(n):
        return data + training + n * own - n * solver

    n, slack = found.break_even, 1e-9 * (data + training + 1)
    assert n >= 1 and behind(n) <= slack * n
    assert n == 1 or behind(n - 1) >= -slack * n


def test_the_generator_pays_where_it_costs_no_more_than_any_solver_as_good_with_what_that_one_spends_once():
    slow, long_start = row(3.0), row(2.0, start=50.0)
    assert cost(1.0, 9.0, [slow], data=100.0).break_even == 50
    # The start of the cheaper one is on its account too.
    assert cost(1.0, 9.0, [long_start], data=100.0).break_even == 50
    assert cost(1.0, 9.0, [slow, long_start], data=120.0).break_even == 70
    assert cost(1.0, 9.0, [slow, row(2.0, start=200.0)], data=120.0).break_even == 60
    assert cost(1.0, 9.0, [slow, row(1.0, start=1e6)], data=120.0).break_even is None


def test_settings_that_are_named_beside_the_generator_are_timed_in_turn_with_it():
    calls = {"good": 0, "named": 0, "other": 0}

    def candidate(name):
        def make():
            calls[name] += 1
            return np.full(2, 1.0 if name == "good" else 0.0)

        return Candidate({"setting": name}, make)

    rows, _ = search(
        [candidate(name) for name in calls],
        lambda samples: Assessment(bool(samples[0]), {}),
        lambda: np.zeros(2),
        count=2,
        repeats=7,
        also=lambda rows: {1},
    )
    assert [row.timing.repeats for row in rows] == [7, 7, 1]
    assert calls["named"] >= 8 > calls["other"]
