"""Features of fields: what they are blind to, what they see, and that a direct transform agrees."""

import numpy as np
import pytest

from experiments.evaluation.two_sample.physical_features import PhysicalFeatures


def waves(rng, count, shape, channels=1):
    """Skewed random fields, the same everywhere on a periodic grid; the second channel goes with the first."""
    axes = tuple(range(1, 1 + len(shape)))
    square = sum(k**2 for k in np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij"))
    hat = np.fft.fftn(rng.standard_normal((count, *shape, channels)), axes=axes) * np.exp(-square / 12)[..., None]
    fields = np.fft.ifftn(hat, axes=axes).real
    fields /= fields.std()
    if channels > 1:
        fields[..., 1] += 0.5 * fields[..., 0]
    return (1 + fields + 0.3 * fields**2).astype(np.float32)


def tendency(fields):
    return np.roll(fields, 1, axis=1) - fields**2


CASES = {"line": ((32,), 1), "two channels": ((24,), 2), "plane": ((12, 16), 1), "plane, two channels": ((12, 12), 2)}


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    """Features on one kind of grid, and fields that did not fix them."""
    shape, channels = CASES[request.param]
    rng = np.random.default_rng(0)
    features = PhysicalFeatures(
        waves(rng, 400, shape, channels),
        extent=tuple(2 * np.pi for _ in shape),
        tendency=tendency,
        later=lambda fields: fields + 0.05 * tendency(fields),
        budgets=lambda fields: {"input": (fields**2).mean(axis=tuple(range(1, fields.ndim)))},
    )
    return features, waves(rng, 100, shape, channels)


def test_every_feature_has_a_name_of_its_own_and_one_finite_column(case):
    features, fields = case
    rows = features(fields)
    assert rows.shape == (100, len(features.names))
    assert len(set(features.names)) == len(features.names)
    assert np.isfinite(rows).all() and (rows.std(axis=0) > 0).all()
    for start in ("energy of shell", "phase cos", "bispectrum", "skewness of gradient", "third-order", "tendency along",
                  "growth of mode", "budget, input"):  # fmt: skip
        assert any(name.startswith(start) for name in features.names), start


def test_features_and_descriptors_are_blind_to_shifts(case):
    features, fields = case
    axes = tuple(range(1, fields.ndim - 1))
    shifted = np.roll(fields, [3 + 2 * axis for axis in axes], axis=axes)
    rows, other = features(fields), features(shifted)
    # The phase of a wave that is almost absent is round-off.
    difference = np.abs(rows - other) / rows.std(axis=0)
    assert np.quantile(difference, 0.999) < 1e-2
    np.testing.assert_allclose(features.descriptors(shifted), features.descriptors(fields), atol=2e-2)


def columns(features, rows, *starts):
    return rows[:, [i for i, name in enumerate(features.names) if name.startswith(starts)]]


def test_triads_change_sign_with_the_field_and_their_phase_with_the_direction(case):
    features, fields = case
    axes = tuple(range(1, fields.ndim - 1))
    # About its mean, since the features are about that of the reference.
    centred = fields - fields.mean(axis=(0, *axes))
    turned = -centred + fields.mean(axis=(0, *axes))
    backwards = np.roll(np.flip(fields, axes), 1, axes)
    even, odd = ("phase cos", "bispectrum real"), ("phase sin", "bispectrum imaginary")
    for names, other, sign in ((even + odd, turned, -1), (even, backwards, 1), (odd, backwards, -1)):
        own = columns(features, features(fields), *names)
        changed = columns(features, features(other), *names)
        assert own.shape[1] > 0 and np.abs(own).mean() > 0.1
        assert np.quantile(np.abs(changed - sign * own), 0.999) < 1e-2


def test_the_energy_of_a_shell_is_that_of_a_direct_transform():
    rng = np.random.default_rng(1)
    reference, fields = waves(rng, 300, (32,)), waves(rng, 20, (32,))
    features = PhysicalFeatures(reference, extent=(22.0,))
    rows, x = features(fields), np.arange(32) / 32
    standard = (fields[..., 0] - reference.mean()) / reference.std()
    for shell in (1, 2, 5):
        amplitude = (standard * np.exp(-2j * np.pi * shell * x)).mean(axis=1)
        found = rows[:, features.names.index(f"energy of shell {shell}")]
        np.testing.assert_allclose(found, np.log(np.abs(amplitude) ** 2), atol=1e-3)


def test_what_is_left_of_the_high_shells_is_nothing_where_the_low_ones_determine_them():
    rng = np.random.default_rng(2)
    size, phase = np.exp(rng.normal(0, 0.3, (1000, 1, 1))), rng.uniform(0, 2 * np.pi, (1000, 1, 1))
    x = 2 * np.pi * np.arange(32)[:, None] / 32
    fields = sum(size**k * 0.6**k * np.cos(k * (x + phase)) for k in range(1, 9)).astype(np.float32)
    features = PhysicalFeatures(fields[:700])
    left = columns(features, features(fields[700:]), "energy of shell 8 given")
    assert left.std() < 0.05
    broken = fields[700:] + 0.5 * np.cos(8 * x).astype(np.float32)
    assert np.abs(columns(features, features(broken), "energy of shell 8 given")).mean() > 0.5


def test_a_distribution_that_is_not_the_same_everywhere_gets_principal_components():
    rng = np.random.default_rng(3)
    reference = waves(rng, 400, (16,)) * np.linspace(0.2, 2, 16, dtype=np.float32)[:, None]
    features = PhysicalFeatures(reference, homogeneous=False)
    components = columns(features, features(reference), "principal component")
    assert components.shape[1] >= 8
    np.testing.assert_allclose(np.cov(components.T), np.eye(components.shape[1]), atol=0.02)
    moved = columns(features, features(np.roll(reference, 5, axis=1)), "principal component")
    assert np.abs(moved - components).mean() > 0.3


def test_without_a_periodic_grid_there_are_no_spectra_and_the_values_are_the_descriptors():
    rng = np.random.default_rng(4)
    reference = waves(rng, 300, (16,), 2)
    features = PhysicalFeatures(reference, periodic=False, tendency=tendency)
    assert not any("shell" in name or "phase" in name or "gradient" in name for name in features.names)
    assert any(name.startswith("principal component") for name in features.names)
    described = features.descriptors(reference)
    assert described.shape == (300, 32)
    np.testing.assert_allclose(described.reshape(300, 16, 2).std(axis=(0, 1)), 1, rtol=1e-4)


def test_points_have_their_principal_components_and_tendencies():
    points = np.random.default_rng(5).normal(2, [1, 3], (500, 2)).astype(np.float32)
    features = PhysicalFeatures(points, tendency=lambda x: -(x**3))
    assert features.shape == ()
    rows = features(points)
    assert set(features.names) == {
        "principal component 1", "principal component 2", "tendency, channel 0", "tendency, channel 1"
    }  # fmt: skip
    np.testing.assert_allclose(np.cov(rows[:, :2].T), np.eye(2), atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1e30, np.inf, np.nan])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_are_finite_whatever_the_fields_are(value):
    features = PhysicalFeatures(waves(np.random.default_rng(6), 300, (16,)))
    assert np.isfinite(features(np.full((3, 16, 1), value, np.float32))).all()


def test_fields_of_another_shape_and_references_without_variation_are_refused():
    fields = waves(np.random.default_rng(7), 300, (16,))
    features = PhysicalFeatures(fields)
    with pytest.raises(ValueError, match="use one grid"):
        features(fields[:, ::2])
    with pytest.raises(ValueError, match="vary in every channel"):
        PhysicalFeatures(np.concatenate([fields, np.full_like(fields, 2.0)], axis=-1))
    with pytest.raises(ValueError, match="finite"):
        PhysicalFeatures(np.where(fields > 2, np.nan, fields))
