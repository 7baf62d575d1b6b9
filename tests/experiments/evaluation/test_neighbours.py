"""Nearest neighbours modulo symmetries: exact, blind to shifts and mirrors, and able to find copies and
clumps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.evaluation.scores import diversity, memorization
from experiments.evaluation.scores.neighbours import Neighbourhoods, mirrored, nearest, pairwise
from gan.augmentation import ArrayMove, ArrayReflection, ArraySymmetries, transform_batch

MIRRORED = ArraySymmetries((0,), (ArrayReflection(0, (-1.0,)),))
GLIDES = (ArrayMove((1.0,), (0, 1)), ArrayMove((-1.0,), (0,), 1, 4))
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
        ((8, 2), ArraySymmetries((0,), ())),
        ((6, 5, 1), ArraySymmetries((0, 1), (ArrayReflection(0, (-1.0,)), ArrayReflection(1, (1.0,))))),
        ((6, 4, 2), ArraySymmetries((1,), (ArrayReflection(0, (1.0, -1.0)),))),
        ((6, 4, 2), ArraySymmetries()),
        ((6, 8, 1), ArraySymmetries((0,), (), GLIDES)),
    ],
    ids=["line", "two channels", "plane", "plane shifted along one axis", "no symmetry", "moves"],
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


def test_moved_fields_are_the_same_fields_and_their_images_are_those_of_the_moves():
    rng = np.random.default_rng(5)
    symmetries = ArraySymmetries((), (), GLIDES)
    bank = rng.standard_normal((40, 6, 8, 1)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 40)
    distance, which = nearest(
        np.asarray(transform_batch(jnp.asarray(bank), keys, symmetries, 2)), bank, ONE, symmetries
    )
    np.testing.assert_allclose(distance, 0.0, atol=2e-3)
    np.testing.assert_array_equal(which, np.arange(40))
    images = mirrored(bank[:1], symmetries)
    assert len({one.tobytes() for one in images}) == len(images) == 8
    # But for shifts: the field, its half turn, its mirror image and both.
    assert len(mirrored(bank[:1], symmetries, shifts=False)) == 4


def test_a_shifted_mirror_image_is_the_same_field():
    rng = np.random.default_rng(1)
    bank = smooth_fields(rng, 50)
    copy = np.roll(mirrored(bank, MIRRORED)[1][7], 5, axis=0)[None]
    distance, which = nearest(copy, bank, ONE, MIRRORED)
    assert distance[0] < 2e-3 and which[0] == 7
    assert nearest(copy, bank, ONE, ArraySymmetries())[0][0] > 0.1


def test_diversity_of_solver_fields_lies_in_its_band_and_is_one_on_average():
    rng = np.random.default_rng(2)
    scores = [
        diversity(smooth_fields(rng, 48), smooth_fields(rng, 96), scale=ONE, symmetries=MIRRORED, fields=48, draws=100)
        for _ in range(40)
    ]
    assert np.mean([one.inside for one in scores]) >= 0.85
    assert np.mean([one.value for one in scores]) == pytest.approx(1.0, abs=0.04)
    width = np.mean([np.diff(one.null)[0] for one in scores])
    # The spread over fresh sets and fresh solver fields, as wide as the band.
    assert width == pytest.approx(2 * 1.96 * np.std([one.value for one in scores]), rel=0.35)


def test_a_collapsed_set_has_low_diversity_even_when_its_patterns_are_spread_by_shifts():
    rng = np.random.default_rng(3)
    solver, few = smooth_fields(rng, 200), smooth_fields(rng, 8)
    clumped = np.stack([np.roll(few[i % 8], rng.integers(24), axis=0) for i in range(100)])
    score = diversity(clumped, solver, scale=ONE, symmetries=MIRRORED, fields=100)
    assert score.value < 0.05 < score.null[0]
    blind = diversity(clumped, solver, scale=ONE, symmetries=ArraySymmetries(), fields=100)
    assert blind.value > 3 * score.value


def test_noise_on_the_fields_lifts_diversity_above_the_solvers():
    rng = np.random.default_rng(4)
    noisy = smooth_fields(rng, 100) + rng.standard_normal((100, 24, 1)).astype(np.float32)
    score = diversity(noisy, smooth_fields(rng, 200), scale=ONE, symmetries=MIRRORED, fields=100)
    assert score.value > score.null[1]


def test_held_out_solver_fields_memorise_nothing_and_copies_are_counted():
    rng = np.random.default_rng(5)
    training, solver, fresh = smooth_fields(rng, 600), smooth_fields(rng, 400), smooth_fields(rng, 200)
    score = memorization(fresh, solver, training, scale=ONE, symmetries=MIRRORED)
    assert score.inside
    assert score.target == pytest.approx(0.05, rel=0.05)
    copies = fresh.copy()
    copies[:60] = np.roll(mirrored(training, MIRRORED)[1][:60], 9, axis=1)
    found = memorization(copies, solver, training, scale=ONE, symmetries=MIRRORED)
    assert found.value == pytest.approx(0.3 + 0.7 * score.value, abs=0.02)
    assert found.value > found.null[1]


def test_searching_part_of_the_training_data_says_which_share():
    rng = np.random.default_rng(6)
    fields = smooth_fields(rng, 200)
    score = memorization(fields[:50], fields[50:150], fields, scale=ONE, symmetries=MIRRORED, bank=100)
    assert "50%" in score.definition


def test_counts_of_exchangeable_samples_below_the_threshold_lie_in_the_band_of_memorization():
    """The band is that of ranks alone: the share of independent numbers below the k-th smallest of others."""
    rng = np.random.default_rng(7)
    fields = rng.standard_normal((60 + 120 + 4, 3)).astype(np.float32)
    score = memorization(fields[:60], fields[60:180], fields[180:], scale=np.ones(3), symmetries=ArraySymmetries())
    rank = round(score.target * 121)
    draws = rng.random((20_000, 180))
    shares = (draws[:, :60] < np.sort(draws[:, 60:], axis=1)[:, rank - 1 : rank]).mean(axis=1)
    inside = np.mean((shares >= score.null[0]) & (shares <= score.null[1]))
    assert 0.95 <= inside <= 0.99
    assert shares.mean() == pytest.approx(score.target, rel=0.03)


def brute_balls(samples, reference, k):
    """Whether each sample is in the ball of each reference member, by loops."""
    inside = np.zeros((len(samples), len(reference)), bool)
    for j, centre in enumerate(reference):
        radius = sorted(np.linalg.norm(centre - other) for i, other in enumerate(reference) if i != j)[k - 1]
        inside[:, j] = [np.linalg.norm(one - centre) <= radius for one in samples]
    return inside


def test_precision_recall_density_and_coverage_equal_the_loops_over_balls():
    rng = np.random.default_rng(8)
    samples, reference = rng.standard_normal((30, 3)) * 1.3, rng.standard_normal((40, 3))
    sets = Neighbourhoods.of(samples, reference)
    assert sets.precision() == brute_balls(samples, reference, 3).any(axis=1).mean()
    assert sets.recall() == brute_balls(reference, samples, 3).any(axis=1).mean()
    inside = brute_balls(samples, reference, 5)
    assert sets.density() == pytest.approx(inside.sum() / (5 * 30))
    assert sets.coverage() == inside.any(axis=0).mean()


@given(st.integers(0, 1000), st.floats(0.1, 10.0), st.floats(-100.0, 100.0))
@settings(max_examples=25, deadline=None)
def test_neighbourhood_scores_change_with_neither_order_nor_origin_nor_unit_nor_axes(seed, scale, shift):
    rng = np.random.default_rng(seed)
    samples, reference = rng.standard_normal((20, 3)), rng.standard_normal((25, 3)) + 0.5
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    one = Neighbourhoods.of(samples, reference)
    moved = [scale * (x[rng.permutation(len(x))] @ turn) + shift for x in (samples, reference)]
    two = Neighbourhoods.of(*moved)
    for score in ("precision", "recall", "density", "coverage"):
        assert getattr(one, score)() == pytest.approx(getattr(two, score)(), abs=1e-12)


def test_a_set_of_one_mode_has_precision_without_recall():
    rng = np.random.default_rng(9)
    reference = np.concatenate([rng.standard_normal((100, 2)), rng.standard_normal((100, 2)) + 20])
    sets = Neighbourhoods.of(0.5 * rng.standard_normal((200, 2)), reference)
    assert sets.precision() > 0.85 and sets.recall() < 0.55 and sets.coverage() < 0.55


def test_descriptors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Neighbourhoods.of(np.zeros((4, 2)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="no 5-th"):
        Neighbourhoods.of(np.zeros((4, 2)), np.zeros((4, 2))).density()
