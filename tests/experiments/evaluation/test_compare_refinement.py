"""When a start is no longer distinguished from the solver, on a clock that all starts share, and how a failing solver
shows."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evaluation.distances import ReferenceSet
from experiments.evaluation.gaussian_fields import gaussian_fields
from experiments.evaluation.refinement import BANK, Start, enters, refinement_curves
from experiments.evaluation.two_sample import battery as module
from experiments.evaluation.two_sample.battery import Battery
from experiments.evaluation.two_sample.classifiers import boosted_rating, boosted_scores
from experiments.evaluation.two_sample.physical_features import PhysicalFeatures

TESTED = 60


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_curve_enters_at_the_first_time_at_which_nothing_tells_it_and_never_where_there_is_none(kept):
    times = [0.5 * i for i in range(len(kept))]
    assert enters(times, kept) == min((t for t, ok in zip(times, kept) if ok), default=None)


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    """Enough for sets of this size."""
    patch = pytest.MonkeyPatch()
    for one in (boosted_rating, boosted_scores):
        patch.setattr(module, one.__name__, partial(one, rounds=15))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def judges(distribution):
    """The tests, the reference set, and the reference fields that they are made of."""
    rng = np.random.default_rng(0)
    training, reference = distribution.draw(rng, 300), distribution.draw(rng, 2 * TESTED)
    battery = Battery(
        training,
        reference,
        features=PhysicalFeatures(training, extent=distribution.extent),
        extent=distribution.extent,
        symmetries=distribution.symmetries,
        tested=TESTED,
        draws=199,
    )
    reference_set = ReferenceSet(
        distribution.draw(rng, 200), n=50, draws=180, separations=(1,), extent=distribution.extent, directions=8
    )
    return battery, reference_set, reference


@pytest.fixture
def solver(distribution, judges):
    """The judges, and ``draw(count)``, which no other test draws from."""
    return *judges, partial(distribution.draw, np.random.default_rng(2))


def relaxing(draw, calls=None):
    """A solver under which every field is replaced by one of the distribution after an exponential time of mean 1."""
    rng = np.random.default_rng(5)

    def refine(fields, duration):
        if calls is not None:
            calls.append((len(fields), duration))
        replaced = rng.uniform(size=len(fields)) < -np.expm1(-duration)
        return np.where(replaced[:, None, None], draw(len(fields)), fields)

    return refine


def test_starts_meet_at_equal_solver_times_and_enter_where_nothing_tells_them_any_more(solver):
    battery, reference_set, reference, draw = solver
    fields, calls, said = draw(4 * TESTED), [], []
    starts = {
        "generator": Start("the generator", 1.3 * fields[: 2 * TESTED], 0.5),
        "initial": Start("noise", 0.05 * fields[: 2 * TESTED]),
        BANK: Start("stored fields", fields[2 * TESTED :]),
    }
    found = refinement_curves(
        battery, reference_set, starts, reference, relaxing(draw, calls), (0.0, 2.0, 9.0),
        progress=lambda done, total, what: said.append((done, total)),
    )  # fmt: skip
    generator, initial, bank = (found.curves[name] for name in starts)
    assert generator.time == (0.5, 2.0, 9.0) and initial.time == bank.time == (0.0, 0.5, 2.0, 9.0)
    # To 0.5: the two others alone, since references move with the generator's clock.
    assert [duration for _, duration in calls] == [0.5] * 2 + [1.5] * 4 + [7.0] * 4
    assert said[-1] == (11, 11)
    assert generator.p_value[0] < 0.05
    # By then the solver has replaced all of them but one in eight thousand.
    assert initial.enters == 9.0 and generator.enters is not None
    # Fields of the distribution have a distribution's distances at every time; those of noise fall to it.
    assert max(bank.ratios["marginals"]) < 3 < initial.ratios["marginals"][0]
    assert initial.auc[0] > 0.95 > initial.auc[-1]
    for curve in (generator, initial, bank):
        assert len(curve.auc) == len(curve.auc_interval) == len(curve.p_value) == len(curve.time)
        assert all(low <= area <= high for area, (low, high) in zip(curve.auc, curve.auc_interval))
        assert curve.p_onwards[-1] == curve.p_value[-1]
        assert set(curve.ratios) == set(reference_set.names) == set(found.null)
    assert found.saved("initial") == 9.0 - generator.enters and found.saved("elsewhere") is None
    assert all(1 < edge < 10 for edge in found.null.values())
    assert found.auc_null[0] < 0.5 < found.auc_null[1]


def test_a_start_is_tested_up_to_its_last_time_and_the_stored_fields_go_on_as_the_bank_of_the_others(solver):
    battery, reference_set, reference, draw = solver
    fields, calls = draw(4 * TESTED), []
    starts = {
        "generator": Start("the generator", fields[: 2 * TESTED]),
        BANK: Start("stored fields", fields[2 * TESTED :], until=1.0),
    }
    found = refinement_curves(battery, reference_set, starts, reference, relaxing(draw, calls), (0.0, 1.0, 2.0))
    assert found.curves["generator"].time == (0.0, 1.0, 2.0) and found.curves[BANK].time == (0.0, 1.0)
    assert len(calls) == 2 * len([*starts, "reference"])


def test_a_copy_of_the_stored_fields_is_distinguished_until_the_solver_has_replaced_it(solver):
    battery, reference_set, reference, draw = solver
    stored = draw(2 * TESTED)
    starts = {"generator": Start("a copy", np.roll(stored, 3, axis=1)), BANK: Start("stored fields", stored)}
    found = refinement_curves(battery, reference_set, starts, reference, relaxing(draw), (0.0, 9.0))
    # Of the right distribution: without the stored fields beside them nothing tells them.
    alone = {"generator": starts["generator"]}
    assert (
        refinement_curves(battery, reference_set, alone, reference, relaxing(draw), (0.0,)).curves["generator"].enters
        == 0.0
    )
    assert found.curves["generator"].p_value[0] < 0.05 < found.curves["generator"].p_value[1]
    assert found.curves["generator"].enters == 9.0


def test_a_start_that_blows_up_ends_there_and_the_others_go_on(solver):
    battery, reference_set, reference, draw = solver
    good = draw(2 * TESTED)

    def refine(fields, duration):
        return np.where(fields > 50, np.inf, fields)

    starts = {"generator": Start("good", good, 0.5), "gaussian": Start("bad", good + 100)}
    found = refinement_curves(battery, reference_set, starts, reference, refine, (0.0, 1.0, 3.0))
    assert found.curves["gaussian"].time == (0.0,)
    assert found.curves["gaussian"].enters is None
    assert found.curves["generator"].time == (0.5, 1.0, 3.0)


@pytest.mark.slow
def test_a_perfect_start_enters_at_once_nearly_always(solver):
    """Three independent times: a test made for one time would lose a perfect start in every seventh study."""
    battery, reference_set, reference, draw = solver
    entered = []
    for _ in range(12):
        starts = {"generator": Start("perfect", draw(2 * TESTED))}
        found = refinement_curves(
            battery, reference_set, starts, reference, lambda fields, duration: draw(len(fields)), (0.0, 1.0, 2.0)
        )
        entered.append(found.curves["generator"].enters == 0.0)
    assert np.sum(entered) >= 9


@pytest.mark.parametrize("times", [(), (-1.0, 2.0)])
def test_no_time_and_negative_times_are_refused(solver, times):
    battery, reference_set, reference, _ = solver
    with pytest.raises(ValueError, match="at least 0"):
        refinement_curves(battery, reference_set, {}, reference, lambda fields, duration: fields, times)


def test_gaussian_start_has_the_spectra_and_cross_spectra_of_the_data():
    rng = np.random.default_rng(1)
    shape = (8, 6)
    noise = np.fft.rfft2(rng.standard_normal((4000, *shape, 2)), axes=(1, 2))
    k = np.hypot(np.fft.fftfreq(8, 1 / 8)[:, None], np.fft.rfftfreq(6, 1 / 6)[None])[..., None]
    data = np.fft.irfft2(noise * np.exp(-k / 2), s=shape, axes=(1, 2)) + np.array([3.0, 0.0])
    data[..., 1] = 0.8 * np.roll(data[..., 0], 2, axis=1) + 0.3 * data[..., 1]
    made = gaussian_fields(data.astype(np.float32), 4000, seed=2)
    assert made.shape == (4000, *shape, 2)
    np.testing.assert_allclose(made.mean(axis=(0, 1, 2)), data.mean(axis=(0, 1, 2)), atol=0.05)

    def second_moments(x):
        hat = np.fft.rfft2(x - x.mean(axis=(0, 1, 2)), axes=(1, 2))
        return np.einsum("nabc,nabd->abcd", hat, hat.conj()) / len(x)

    theirs, ours = second_moments(data), second_moments(made)
    np.testing.assert_allclose(ours, theirs, atol=0.08 * np.abs(theirs).max())
    assert abs(ours[1, 1, 0, 1]) > 0.5 * np.sqrt(ours[1, 1, 0, 0] * ours[1, 1, 1, 1]).real
