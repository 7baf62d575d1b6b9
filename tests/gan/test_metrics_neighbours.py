"""Nearest neighbours modulo symmetries: exact, blind to shifts and mirrors, and able to find copies and
clumps."""

import numpy as np
import pytest

from gan.augmentation import Reflection, Symmetries
from gan.metrics import diversity, memorising
from gan.metrics.neighbours import mirrored, nearest, pairwise

MIRRORED = Symmetries((0,), (Reflection(0, (-1.0,)),))
ONE = np.ones(1)


def smooth_fields(rng, count, points=24):
    k = np.fft.rfftfreq(points, 1 / points)
    noise = np.fft.rfft(rng.standard_normal((count, points)))
    return (np.fft.irfft(noise * np.exp(-k / 2.5) * (k > 0), n=points) * 4).astype(np.float32)[..., None]


def brute_force(query, bank, symmetries):
    best = np.inf
    shifts = [range(query.shape[a]) if a in symmetries.shift_axes else [0] for a in range(query.ndim - 1)]
    for image in mirrored(bank, symmetries):
        for index in np.ndindex(*[len(s) for s in shifts]):
            moved = np.roll(image, index, axis=tuple(range(1, image.ndim - 1)))
            best = min(best, ((query - moved) ** 2).reshape(len(bank), -1).mean(axis=1).min())
    return np.sqrt(best)


@pytest.mark.parametrize(
    ("shape", "symmetries"),
    [
        ((11, 1), MIRRORED),
        ((8, 2), Symmetries((0,), ())),
        ((6, 5, 1), Symmetries((0, 1), (Reflection(0, (-1.0,)), Reflection(1, (1.0,))))),
        ((6, 4, 2), Symmetries((1,), (Reflection(0, (1.0, -1.0)),))),
        ((6, 4, 2), Symmetries()),
    ],
    ids=["line", "two channels", "plane", "plane shifted along one axis", "no symmetry"],
)
def test_nearest_field_modulo_the_symmetry_equals_the_search_over_every_image(shape, symmetries):
    rng = np.random.default_rng(0)
    bank = rng.standard_normal((30, *shape)).astype(np.float32)
    queries = rng.standard_normal((4, *shape)).astype(np.float32)
    found, _ = nearest(queries, bank, np.ones(shape[-1]), symmetries)
    np.testing.assert_allclose(found, [brute_force(q, bank, symmetries) for q in queries], rtol=1e-4)
    apart = pairwise(bank[:5], np.ones(shape[-1]), symmetries)
    np.testing.assert_allclose(apart[0, 3], brute_force(bank[0], bank[3:4], symmetries), rtol=1e-4)
    np.testing.assert_allclose(apart, apart.T)


def test_a_shifted_mirror_image_is_the_same_field():
    rng = np.random.default_rng(1)
    bank = smooth_fields(rng, 50)
    copy = np.roll(mirrored(bank, MIRRORED)[1][7], 5, axis=0)[None]
    distance, which = nearest(copy, bank, ONE, MIRRORED)
    assert distance[0] < 2e-3 and which[0] == 7
    assert nearest(copy, bank, ONE, Symmetries())[0][0] > 0.1


def test_diversity_of_solver_fields_lies_in_its_band_and_is_one_on_average():
    rng = np.random.default_rng(2)
    scores = [
        diversity(
            smooth_fields(rng, 64),
            smooth_fields(rng, 128),
            scale=ONE,
            symmetries=MIRRORED,
            fields=64,
            draws=100,
        )
        for _ in range(16)
    ]
    inside = np.mean([s["null"][0] <= s["value"] <= s["null"][1] for s in scores])
    assert inside >= 0.75
    assert np.mean([s["value"] for s in scores]) == pytest.approx(1.0, abs=0.04)


def test_a_collapsed_set_has_low_diversity_even_when_its_patterns_are_spread_by_shifts():
    rng = np.random.default_rng(3)
    solver, few = smooth_fields(rng, 200), smooth_fields(rng, 8)
    clumped = np.stack([np.roll(few[i % 8], rng.integers(24), axis=0) for i in range(100)])
    score = diversity(clumped, solver, scale=ONE, symmetries=MIRRORED, fields=100)
    assert score["value"] < 0.05 < score["null"][0]
    blind = diversity(clumped, solver, scale=ONE, symmetries=Symmetries(), fields=100)
    assert blind["value"] > 3 * score["value"]


def test_noise_on_the_fields_lifts_diversity_above_the_solvers():
    rng = np.random.default_rng(4)
    noisy = smooth_fields(rng, 100) + rng.standard_normal((100, 24, 1)).astype(np.float32)
    score = diversity(noisy, smooth_fields(rng, 200), scale=ONE, symmetries=MIRRORED, fields=100)
    assert score["value"] > score["null"][1]


def test_held_out_solver_fields_memorise_nothing_and_copies_are_counted():
    rng = np.random.default_rng(5)
    training, solver, fresh = smooth_fields(rng, 600), smooth_fields(rng, 400), smooth_fields(rng, 200)
    score = memorising(fresh, solver, training, scale=ONE, symmetries=MIRRORED)
    assert score["null"][0] <= score["value"] <= score["null"][1]
    assert score["target"] == 0.05 and score["searched"] == 1.0
    copies = fresh.copy()
    copies[:60] = np.roll(mirrored(training, MIRRORED)[1][:60], 9, axis=1)
    found = memorising(copies, solver, training, scale=ONE, symmetries=MIRRORED)
    assert found["value"] == pytest.approx(0.3 + 0.7 * score["value"], abs=0.02)
    assert found["value"] > found["null"][1]


def test_searching_part_of_the_training_data_says_which_share():
    rng = np.random.default_rng(6)
    fields = smooth_fields(rng, 200)
    score = memorising(fields[:50], fields[50:150], fields, scale=ONE, symmetries=MIRRORED, bank=100)
    assert score["searched"] == 0.5
