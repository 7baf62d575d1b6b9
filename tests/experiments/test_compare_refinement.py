"""When a curve enters the null band for good, what a start saves, and how a failing solver shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.comparison.cost import break_even, search_solver_settings, timed
from experiments.comparison.refinement import Start, enters, refinement_curves, spin_up_saved
from gan.metrics import Yardstick


@given(st.lists(st.booleans(), min_size=2, max_size=12))
def test_a_curve_enters_at_the_first_time_from_which_it_never_leaves(inside):
    times = [0.5 * i for i in range(len(inside))]
    found = enters(times, inside)
    stays = [t for i, t in enumerate(times) if all(inside[i:]) and i < len(times) - 1]
    assert found == (min(stays) if stays else None)


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.data())
def test_one_more_time_outside_never_lets_a_curve_enter_earlier(inside, data):
    times = [float(i) for i in range(len(inside))]
    worse = list(inside)
    worse[data.draw(st.integers(0, len(inside) - 1))] = False
    before, after = enters(times, inside), enters(times, worse)
    assert after is None or (before is not None and before <= after)


def test_the_last_time_alone_is_not_for_good():
    assert enters([0.0, 1.0, 2.0], [False, False, True]) is None
    assert enters([0.0], [True]) == 0.0


def curve(times, entered):
    return {"time": times, "enters_all": entered}


def test_spin_up_saved_is_the_difference_of_the_entries_and_a_lower_bound_where_the_other_never_enters():
    assert spin_up_saved({"generator": curve([2.0, 4.0, 8.0], 4.0), "gaussian": curve([0.0, 8.0, 16.0], 8.0)}) == 4.0
    assert spin_up_saved({"generator": curve([2.0, 4.0, 8.0], 4.0), "gaussian": curve([0.0, 8.0, 16.0], None)}) == 12.0
    assert spin_up_saved({"generator": curve([2.0, 4.0, 8.0], None), "gaussian": curve([0.0, 8.0, 16.0], 8.0)}) is None
    assert spin_up_saved({"generator": curve([2.0, 4.0], 4.0)}) is None


@pytest.fixture(scope="module")
def yardstick():
    rng = np.random.default_rng(0)
    return Yardstick(rng.standard_normal((200, 8, 1)).astype(np.float32), n=50, draws=180, separations=(1,))


def test_a_start_that_blows_up_is_outside_from_then_on_and_the_others_go_on(yardstick):
    rng = np.random.default_rng(1)
    good = rng.standard_normal((50, 8, 1)).astype(np.float32)
    seen = []

    def refine(fields, duration):
        seen.append(duration)
        return np.where(fields > 50, np.inf, fields)

    bad = good + 100
    curves = refinement_curves(
        yardstick, {"generator": Start(good, 0.5), "gaussian": Start(bad)}, refine, (0.0, 1.0, 3.0)
    )
    assert seen == [0.5, 2.0, 0.5, 0.5, 2.0]
    assert curves["gaussian"]["values"][0] > 10 and curves["gaussian"]["values"][1:] == [None, None, None]
    assert curves["gaussian"]["enters_all"] is None and not any(curves["gaussian"]["inside"])
    assert curves["generator"]["inside"] == [True] * 3 and curves["generator"]["enters_all"] == 0.5


def test_a_perfect_start_is_inside_from_the_first_time_on_nearly_always():
    """Eight independent times: a band made for one time would lose a perfect start in every third study."""
    rng = np.random.default_rng(3)

    def renew(fields, duration):
        return rng.standard_normal(fields.shape).astype(np.float32)

    entered = []
    for study in range(60):
        if study % 6 == 0:
            pool = rng.standard_normal((480, 8, 1)).astype(np.float32)
            yardstick = Yardstick(pool, n=40, draws=180, separations=(1,), directions=8)
        starts = {"generator": Start(renew(np.empty((40, 8, 1)), 0.0))}
        curves = refinement_curves(yardstick, starts, renew, [float(t) for t in range(8)])
        entered.append(curves["generator"]["enters_all"] == 0.0)
    assert np.mean(entered) > 0.87


def test_a_band_for_more_times_than_the_draws_can_tell_apart_is_refused(yardstick):
    start = {"gaussian": Start(np.zeros((50, 8, 1), np.float32))}
    with pytest.raises(ValueError, match="at least 200 are needed"):
        refinement_curves(yardstick, start, lambda fields, duration: fields, [float(t) for t in range(10)])


def test_a_negative_refinement_time_is_refused(yardstick):
    with pytest.raises(ValueError, match="at least 0"):
        refinement_curves(yardstick, {}, lambda fields, duration: fields, (-1.0, 2.0))


@given(
    st.floats(0, 1e5), st.floats(1e-7, 10), st.floats(1e-7, 10)
)  # seconds of data and training, per generated sample, per solver sample
def test_break_even_is_the_first_number_of_samples_at_which_the_generator_costs_no_more(fixed, own, solver):
    n = break_even(fixed_seconds=fixed, generator_seconds_per_sample=own, solver_seconds_per_sample=solver)
    if own >= solver:
        assert n is None
    else:
        slack = 1e-9 * (fixed + n * solver)
        assert fixed + n * own <= n * solver + slack
        assert n == 1 or fixed + (n - 1) * own > (n - 1) * solver - slack


def test_a_setting_reaches_the_generator_by_being_as_close_or_by_being_indistinguishable(yardstick):
    rng = np.random.default_rng(2)

    def make(setting, n):
        return setting["amplitude"] * rng.standard_normal((n, 8, 1)).astype(np.float32), 1.0

    def reached(generator_amplitude, amplitude):
        own = yardstick.compare(make({"amplitude": generator_amplitude}, 50)[0], resamples=10)
        rows = search_solver_settings(yardstick, own, [{"amplitude": amplitude}], make)
        return rows[0]["reaches"]

    assert reached(1.0, 1.0) and reached(2.0, 1.4)
    assert not reached(1.0, 1.4) and not reached(1.4, 2.0)


def test_timing_leaves_the_first_call_out():
    calls = []
    result, seconds = timed(lambda: calls.append(0) or len(calls), repeats=3)
    assert len(calls) == 4 and result == 4 and seconds >= 0
