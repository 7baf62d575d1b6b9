"""How many numbers say a field, where the answer is known."""

import numpy as np
import pytest

from experiments.evaluation.thickness import Components, Waves, numbers_for_variance, numbers_needed

POINTS, EXTENT = 32, 2 * np.pi


def waves(spread, n=400, points=POINTS, seed=0):
    """Random fields of independent waves 1, 2, ... with these standard deviations of each real part."""
    rng = np.random.default_rng(seed)
    spectrum = np.zeros((n, points // 2 + 1), complex)
    for k, std in enumerate(spread, start=1):
        spectrum[:, k] = std * (rng.standard_normal(n) + 1j * rng.standard_normal(n)) * points / 2
    return np.fft.irfft(spectrum, points, axis=1)[..., None]


def damped(fields, time=1.0):
    """Diffusion, and a forcing of wave 6 by the square of wave 1: a short wave that follows a long one."""
    spectrum = np.fft.rfft(fields[..., 0], axis=1)
    k = np.arange(spectrum.shape[1])
    decayed = spectrum * np.exp(-(np.maximum(k - 1, 0) ** 2) * time)
    decayed[:, 6] += (spectrum[:, 1] ** 2 / fields.shape[1]) * 0.5
    return np.fft.irfft(decayed, fields.shape[1], axis=1)[..., None]


def test_every_wave_of_a_homogeneous_field_counts_as_two_numbers():
    fields = waves([1.0] * 5)
    assert numbers_for_variance(fields, homogeneous=True).numbers == (10, 10)


def test_a_faint_wave_counts_from_the_share_of_the_variance_that_it_has():
    # The faint wave has 0.5% of the variance.
    fields = waves([1.0, 1.0, (0.005 * 2) ** 0.5])
    assert numbers_for_variance(fields, homogeneous=True).numbers == (4, 6)


def test_principal_components_count_numbers_and_tell_where_fields_are_few():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((40, 3)))[0].T
    fields = (rng.standard_normal((500, 3)) @ basis).reshape(500, 40, 1)
    counted = numbers_for_variance(fields, homogeneous=False)
    assert counted.numbers == (3, 3) and not counted.few
    assert numbers_for_variance(rng.standard_normal((20, 40, 1)), homogeneous=False).few


def test_channels_of_other_units_count_alike():
    first, second = waves([1.0, 1.0]), 1e-6 * waves([1.0, 1.0, 1.0], seed=2)
    both = np.concatenate([first, second], axis=-1)
    assert numbers_for_variance(both, homogeneous=True).numbers == (10, 10)


def test_the_solver_makes_the_waves_that_follow_and_those_that_decay():
    fields = waves([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
    cut = Waves(fields, (EXTENT,))
    assert cut.numbers[-1] == 12
    # Without a solver all six waves are needed; after it wave 4 has exp(-9) of its size left, and wave 6 follows.
    assert numbers_needed(fields, cut, None) == 12
    assert numbers_needed(fields, cut, damped) == 6


def test_a_solver_that_does_nothing_makes_nothing():
    fields = waves([1.0, 1.0, 1.0])
    cut = Waves(fields, (EXTENT,))
    assert numbers_needed(fields, cut, lambda u: u) == numbers_needed(fields, cut, None) == 6


def test_waves_of_one_length_in_the_plane_are_kept_together():
    rng = np.random.default_rng(3)
    fields = rng.standard_normal((50, 8, 8, 1))
    cut = Waves(fields, (EXTENT, EXTENT))
    # The mean, the four waves of length 1, the four of length 1 / sqrt 2.
    assert tuple(cut.numbers[:3]) == (1, 5, 9)
    kept = np.fft.fft2(cut(fields, 2) - fields.mean(axis=0), axes=(1, 2))
    there = np.abs(kept).max(axis=(0, 3)) > 1e-9
    assert there.sum() == 5 and there[0, 1] and there[1, 0] and not there[1, 1]


def test_a_cut_to_components_keeps_the_field_that_they_say():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.standard_normal((30, 4)))[0].T
    fields = ((rng.standard_normal((200, 4)) * [8.0, 4.0, 2.0, 1.0]) @ basis + 3.0).reshape(200, 30, 1)
    cut = Components(fields)
    assert tuple(cut.numbers) == (1, 2, 3, 4)
    np.testing.assert_allclose(cut(fields, 4), fields, atol=1e-9)
    assert numbers_needed(fields, cut, None, share=0.3) == 2


@pytest.mark.parametrize("share", [1e-12])
def test_nothing_short_of_the_whole_field_may_come_near_enough(share):
    fields = np.random.default_rng(5).standard_normal((50, 16, 1))
    assert numbers_needed(fields, Waves(fields, (EXTENT,)), None, share=share) is None
