"""Networks: boundaries, resampling, the fix-up start, hard constraints, conditions and trajectories."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.config import NetworkConfig
from gan.networks.constraints import curl, smooth_bound, without_mean
from gan.networks.layers import Convolution, downsample, fold_time, resize, unfold_time, upsample
from gan.networks.players import SampleSpec, build
from gan.networks.resnet import Block
from gan.normalizer import Normalizer

ONE = Normalizer(np.array([0.5], np.float32), np.array([2.0], np.float32))
TINY = NetworkConfig(width=8, levels=2, latent=4)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def stirred(params):
    """Parameters away from the fix-up start, where residual branches do nothing."""
    source = rng()
    return jax.tree.map(lambda p: p + 0.3 * source.standard_normal(p.shape).astype(np.float32), params)


@pytest.mark.parametrize("shape", [(16,), (6, 8), (4, 6, 4)])
@pytest.mark.parametrize("rule", ["circular", "zero", "reflect"])
def test_a_convolution_is_the_plain_sum_over_neighbours_beyond_the_boundary(shape, rule):
    layer = Convolution(2, 3, 3, (rule,) * len(shape), rng())
    x = rng().standard_normal((2, *shape, 2)).astype(np.float32)
    mode = {"circular": "wrap", "zero": "constant", "reflect": "reflect"}[rule]
    padded = np.pad(x, [(0, 0)] + [(1, 1)] * len(shape) + [(0, 0)], mode=mode)
    kernel = np.asarray(layer.kernel[...])
    expected = np.zeros((2, *shape, 3))
    for offset in np.ndindex(*(3,) * len(shape)):
        window = padded[(slice(None), *(slice(o, o + n) for o, n in zip(offset, shape)))]
        expected += window @ kernel[offset]
    np.testing.assert_allclose(layer(jnp.asarray(x)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(16,), (6, 8), (4, 6, 4)])
def test_downsampling_is_the_transpose_of_upsampling_and_both_keep_constants(shape):
    rules = ("circular",) * len(shape)
    fine = jnp.asarray(rng().standard_normal((1, *shape, 1)), jnp.float32)
    coarse = jnp.asarray(rng().standard_normal((1, *(n // 2 for n in shape), 1)), jnp.float32)
    left = jnp.sum(downsample(fine, rules) * coarse)
    right = jnp.sum(fine * upsample(coarse, rules)) / 2 ** len(shape)
    np.testing.assert_allclose(left, right, rtol=1e-5)
    np.testing.assert_allclose(downsample(jnp.ones_like(fine), rules), 1.0, rtol=1e-6)
    np.testing.assert_allclose(upsample(jnp.ones_like(coarse), rules), 1.0, rtol=1e-6)


def test_condition_fields_are_brought_to_any_resolution():
    wave = jnp.sin(2 * jnp.pi * (jnp.arange(16) + 0.5) / 16)[None, :, None]
    for size in (4, 16, 64, 24):
        expected = jnp.sin(2 * jnp.pi * (jnp.arange(size) + 0.5) / size)
        found = resize(wave, (size,), ("circular",))[0, :, 0]
        np.testing.assert_allclose(found, expected, atol=0.2)


def test_a_residual_block_starts_as_the_identity():
    block = Block(4, 3, ("circular",), 5, rng())
    x = jnp.asarray(rng().standard_normal((2, 8, 4)), jnp.float32)
    np.testing.assert_array_equal(block(x), x)


@pytest.mark.parametrize("plain_levels", [0, 1])
@pytest.mark.parametrize(("shape", "conditions"), [((16, 1), {}), ((8, 16, 2), {"v": (3,)})])
def test_a_local_latent_moved_by_a_place_moves_the_field_by_a_place(shape, conditions, plain_levels):
    grid = shape[:-1]
    config = NetworkConfig(width=8, levels=3, plain_levels=plain_levels, latent=24, latent_local=True)
    coarse = tuple(n // 4 for n in grid)
    unit = Normalizer(np.zeros(shape[-1], np.float32), np.ones(shape[-1], np.float32))
    told = {name: Normalizer(np.zeros(k, np.float32), np.ones(k, np.float32)) for name, (k,) in conditions.items()}
    networks, players = build(config, SampleSpec(shape, False, conditions), unit, told)
    condition = {name: jnp.asarray(rng().standard_normal((2, *k)), jnp.float32) for name, k in conditions.items()}
    latent = rng().standard_normal((2, *coarse, 24 // math.prod(coarse))).astype(np.float32)
    axes = tuple(range(1, 1 + len(grid)))
    moved = np.roll(latent, [1] * len(grid), axes)
    params = stirred(players.generator.params)
    here, there = (networks.generate(params, {}, jnp.asarray(z.reshape(2, 24)), condition) for z in (latent, moved))
    assert np.std(here) > 0.1
    np.testing.assert_allclose(there, np.roll(here, [4] * len(grid), axes), atol=1e-4)


def test_the_finest_levels_can_do_without_blocks():
    unit = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))

    def kernels(plain_levels):
        players = build(NetworkConfig(width=8, levels=3, plain_levels=plain_levels), SampleSpec((32, 32, 1)), unit)[1]
        return [sum(leaf.ndim == 4 and leaf.shape[0] == 3 for leaf in jax.tree.leaves(p.params)) for p in players]

    assert [kernels(plain_levels) for plain_levels in (0, 1, 2)] == [[6, 6], [4, 4], [2, 2]]


def test_blocks_on_no_level_are_refused():
    with pytest.raises(ValueError, match=r"network\.plain_levels = 3.*of 3 levels one or more"):
        NetworkConfig(levels=3, plain_levels=3)


def test_a_latent_that_its_places_cannot_share_is_refused():
    unit = Normalizer(np.zeros(1, np.float32), np.ones(1, np.float32))
    with pytest.raises(ValueError, match="latent = 6 does not divide among the 4 points of the coarsest grid"):
        build(NetworkConfig(width=8, levels=3, latent=6, latent_local=True), SampleSpec((16, 1)), unit)
    with pytest.raises(ValueError, match=r"network\.kind residual"):
        NetworkConfig(kind="mlp", latent_local=True)


@pytest.mark.parametrize("kind", ["residual", "mlp"])
@pytest.mark.parametrize(
    ("shape", "trajectory", "conditions"),
    [
        ((8, 1), False, {}),
        ((4, 8, 1), False, {"v": (3,), "f": (2, 4, 2)}),
        ((3, 8, 1), True, {"v": (2,), "f": (8, 1), "past": (2, 8, 1)}),
    ],
)
def test_generator_and_discriminator_fit_their_samples_and_conditions(kind, shape, trajectory, conditions):
    spec = SampleSpec(shape, trajectory, conditions)
    normalizers = {
        k: Normalizer(np.zeros(s[-1], np.float32), np.ones(s[-1], np.float32)) for k, s in conditions.items()
    }
    config = NetworkConfig(kind=kind, width=8, levels=2, latent=4)
    networks, players = build(config, spec, ONE, normalizers)
    condition = {k: jnp.asarray(rng().standard_normal((5, *s)), jnp.float32) for k, s in conditions.items()}
    latent = jnp.asarray(rng().standard_normal((5, 4)), jnp.float32)
    generator, discriminator = (jax.tree.map(jnp.asarray, stirred(p.params)) for p in players)
    generate, discriminator_loss = jax.jit(networks.generate), jax.jit(networks.classify)
    samples = generate(generator, {}, latent, condition)
    assert samples.shape == (5, *shape)
    logits = discriminator_loss(discriminator, {}, samples, condition)
    assert logits.shape == (5,)
    for name in conditions:
        changed = {**condition, name: condition[name] + 1.0}
        assert not np.allclose(generate(generator, {}, latent, changed), samples)
        assert not np.allclose(discriminator_loss(discriminator, {}, samples, changed), logits)


def test_folding_time_into_channels_loses_nothing():
    x = jnp.arange(2 * 3 * 4 * 5 * 2, dtype=jnp.float32).reshape(2, 3, 4, 5, 2)
    np.testing.assert_array_equal(unfold_time(fold_time(x), 3), x)


def test_the_bound_is_the_identity_for_small_values_and_never_passed():
    x = jnp.linspace(-100, 100, 1001)
    assert float(jnp.max(jnp.abs(smooth_bound(x, 4.0)))) <= 4.0
    np.testing.assert_allclose(smooth_bound(jnp.float32(0.01), 4.0), 0.01, rtol=1e-5)


def test_samples_of_the_zero_mean_layer_have_no_mean_even_when_bounded():
    config = NetworkConfig(width=8, levels=2, latent=4, constraint="zero_mean")
    networks, players = build(config, SampleSpec((16, 1)), ONE, bound=1.0)
    latent = jnp.asarray(rng().standard_normal((3, 4)), jnp.float32) * 5
    samples = jax.jit(networks.generate)(stirred(players.generator.params), {}, latent)
    assert float(jnp.std(samples)) > 0.1
    np.testing.assert_allclose(jnp.mean(samples, axis=1), 0.0, atol=1e-6)
    trajectory = jnp.ones((2, 5, 16, 1)) * jnp.arange(5.0)[None, :, None, None]
    np.testing.assert_allclose(without_mean(trajectory, 1), 0.0)


def test_an_offset_that_the_constraint_removes_cannot_saturate_the_bound():
    config = NetworkConfig(width=8, levels=2, latent=4, constraint="zero_mean")
    networks, players = build(config, SampleSpec((16, 1)), Normalizer(np.zeros(1), np.ones(1)), bound=4.0)
    params, network_state = players.generator.params, players.generator.state
    latent = jax.random.normal(jax.random.key(0), (3, 4))

    @jax.jit
    def samples(offset):
        bias = params["head"]["bias"]
        moved = {**params, "head": {**params["head"], "bias": bias + offset}}
        return networks.generate(moved, network_state, latent, {})

    assert float(jnp.std(samples(0.0))) > 0.05
    # A drift of the output's mean is no sample of another kind, and leaves the way back open.
    np.testing.assert_allclose(samples(100.0), samples(0.0), atol=1e-3)


def test_samples_of_the_divergence_free_layer_have_no_spectral_divergence():
    extent = (2.0, 5.0)
    config = NetworkConfig(width=8, levels=2, latent=4, constraint="divergence_free")
    networks, players = build(config, SampleSpec((8, 12, 2), extent=extent), ONE)
    latent = jnp.asarray(rng().standard_normal((3, 4)), jnp.float32)
    velocity = np.asarray(jax.jit(networks.generate)(stirred(players.generator.params), {}, latent), np.float64)
    kx = 2j * np.pi * np.fft.fftfreq(8, 2.0 / 8)[:, None]
    ky = 2j * np.pi * np.fft.fftfreq(12, 5.0 / 12)[None, :]
    spectra = np.fft.fft2(velocity, axes=(1, 2))
    divergence = kx * spectra[..., 0] + ky * spectra[..., 1]
    assert np.std(velocity) > 0.1
    assert np.max(np.abs(divergence)) < 1e-5 * np.max(np.abs(kx * spectra[..., 0]))


def test_the_curl_of_a_stream_function_is_its_rotated_gradient():
    x, y = np.meshgrid(np.arange(16) / 16 * 3.0, np.arange(8) / 8 * 2.0, indexing="ij")
    a, b = 2 * np.pi / 3.0, 2 * np.pi / 2.0
    stream = jnp.asarray(np.sin(a * x) * np.cos(b * y), jnp.float32)[..., None]
    expected = np.stack([-b * np.sin(a * x) * np.sin(b * y), -a * np.cos(a * x) * np.cos(b * y)], axis=-1)
    np.testing.assert_allclose(curl(stream, (3.0, 2.0)), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("config", "spec", "message"),
    [
        (NetworkConfig(levels=4), SampleSpec((12, 1)), "network.levels = 4"),
        (NetworkConfig(constraint="divergence_free"), SampleSpec((16, 1)), "divergence_free"),
        (TINY, SampleSpec((16, 1), padding="periodic"), "padding = 'periodic'"),
    ],
)
def test_networks_that_do_not_fit_the_samples_are_refused(config, spec, message):
    with pytest.raises(ValueError, match=message):
        build(config, spec, ONE)
