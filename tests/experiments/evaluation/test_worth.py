"""What samples are worth in solver fields: much where they follow the distribution, little where they are biased."""

import numpy as np
import pytest

from experiments.evaluation.worth import worth


def rows(rng, count, amplitude=1.0):
    """Features of fields: 20 independent Gaussian numbers."""
    return amplitude * rng.standard_normal((count, 20))


@pytest.fixture(scope="module")
def solver():
    return rows(np.random.default_rng(0), 4000)


@pytest.mark.parametrize("amplitude", [1.1, 1.5])
def test_fields_of_wrong_amplitude_are_worth_a_known_number_however_many_there_are(amplitude):
    """The mean squares are off by a^2 - 1, in deviations of sqrt(2), in one half of the measures."""
    expected = 4 / (amplitude**2 - 1) ** 2
    rng, covered, found = np.random.default_rng(1), [], []
    for count in (500, 2000) * 10:
        one = worth(rows(rng, count, amplitude), rows(rng, 2000), 100)
        low, high = one.interval
        covered.append(low <= expected <= high)
        found.append(one.equals)
        assert one.generator == pytest.approx(one.equals**-0.5)
        assert low < one.equals < high
    assert np.median(found[::2]) == pytest.approx(expected, rel=0.2)
    assert np.median(found[1::2]) == pytest.approx(expected, rel=0.2)
    assert np.mean(covered) >= 0.8


def test_fresh_solver_fields_are_worth_the_more_the_more_of_them_there_are(solver):
    rng = np.random.default_rng(2)

    def ends(count):
        return [worth(rows(rng, count), solver, 100).interval for _ in range(8)]

    few, many = ends(200), ends(2000)
    least = [np.median([low for low, _ in one]) for one in (few, many)]
    assert 100 < least[0] < least[1] / 3
    # Nothing bounds them from above.
    assert sum(high is None for _, high in few + many) >= 13


def test_the_interval_decides_whether_a_generator_adds_to_what_it_was_trained_on(solver):
    rng = np.random.default_rng(3)
    biased = rows(rng, 4000, 1.1)
    assert worth(biased, solver, 20).adds is True
    assert worth(biased, solver, 500).adds is False
    assert worth(rows(rng, 4000), solver, 20).adds is True
    assert worth(rows(rng, 200), solver, 100_000).adds is None


def test_the_error_of_n_solver_fields_falls_as_the_root_of_their_number(solver):
    found = worth(rows(np.random.default_rng(4), 500), solver, 100)
    assert list(found.count) == sorted(set(found.count))
    np.testing.assert_allclose(np.square(found.value) * found.count, 1)
    assert (found.generated, found.trained_on) == (500, 100)


def test_features_that_do_not_vary_and_outliers_do_no_harm(solver):
    rng = np.random.default_rng(5)
    constant = np.full((4000, 1), 3.0)
    ours = rows(rng, 4000, 1.1)
    without = worth(ours, solver, 100)
    beside = worth(np.concatenate([ours, constant], axis=1), np.concatenate([solver, constant], axis=1), 100)
    assert beside.equals == pytest.approx(without.equals, rel=1e-3)
    wild = ours.copy()
    wild[0] = 1e9
    assert worth(wild, solver, 100).equals == pytest.approx(without.equals, rel=0.2)
