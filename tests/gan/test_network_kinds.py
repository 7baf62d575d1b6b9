"""Every kind of network: shapes on one to three axes, boundaries, equivariance, statistics and counts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.config import NetworkConfig
from gan.networks.blueprint import Blueprint, Training
from gan.networks.convgru import ConvolutionalGRU
from gan.networks.counts import in_words, network_counts
from gan.networks.dcgan import Strided, Transposed
from gan.networks.fno import FourierLayer
from gan.networks.kinds import KINDS
from gan.networks.players import SampleSpec, build
from gan.networks.stochastic import MEMORY, BatchNormalization, dropout
from gan.normalizer import Normalizer

CONFIG = NetworkConfig(width=4, levels=2, blocks=1, latent=3)
OWN = {"fno": {"modes": 2}, "dcgan": {"dropout": 0.3}}


def unit(channels: int) -> Normalizer:
    return Normalizer(np.zeros(channels, np.float32), np.ones(channels, np.float32))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(*shape) -> jax.Array:
    return jnp.asarray(rng().standard_normal(shape), jnp.float32)


def stirred(params):
    """Parameters away from the fix-up start, where residual branches do nothing."""
    source = rng()
    return jax.tree.map(lambda p: jnp.asarray(p + 0.3 * source.standard_normal(p.shape), jnp.float32), params)


def made(kind: str, spec: SampleSpec, **changes):
    config = dataclasses.replace(CONFIG, kind=kind, **{**OWN.get(kind, {}), **changes})
    return build(config, spec, unit(spec.channels), {k: unit(s[-1]) for k, s in spec.conditions.items()})


SPECS = [
    SampleSpec((3, 8, 1), True, {"past": (2, 4, 1)}, "edge"),
    SampleSpec((4, 8, 2), False, {"v": (3,), "f": (2, 4, 1)}, ("reflect", "circular")),
    SampleSpec((4, 4, 4, 1), False, {"v": (2,)}, "zero"),
]


def played(kind: str, spec: SampleSpec):
    """Gradients of the summed logits of samples as a function of both players' parameters, and these."""
    networks, players = made(kind, spec)
    condition = {name: normal(2, *s) for name, s in spec.conditions.items()}
    training = Training(jax.random.split(jax.random.key(0), 2))

    def loss(generator, discriminator):
        latent = normal(2, *networks.latent)
        samples, _ = networks.generate_with_state(generator, players.generator.state, latent, condition, training)
        assert samples.shape == (2, *spec.shape)
        logits, _ = networks.classify_with_state(
            discriminator, players.discriminator.state, samples, condition, training
        )
        assert logits.shape == (2,)
        return jnp.sum(logits)

    return jax.grad(loss, (0, 1)), [stirred(player.params) for player in players]


@pytest.mark.parametrize("kind", ["dcgan", "unet", "fno", "convgru"])
@pytest.mark.parametrize("spec", SPECS, ids=["sequence", "plane", "space"])
def test_players_fit_samples_on_one_to_three_axes_with_conditions(kind, spec):
    gradients, params = played(kind, spec)
    shapes = jax.eval_shape(gradients, *params)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, tuple(params))


@pytest.mark.parametrize("kind", ["dcgan", "unet", "fno", "convgru"])
def test_gradients_of_both_players_are_finite_and_reach_them(kind):
    gradients, params = played(kind, SPECS[0])
    for gradient in jax.jit(gradients)(*params):
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradient))
        assert any(float(jnp.max(jnp.abs(leaf))) > 1e-4 for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(("kind", "shift"), [("unet", 2), ("fno", 1), ("convgru", 1)])
def test_shifting_the_latent_field_shifts_the_sample_on_a_periodic_grid(kind, shift):
    networks, players = made(kind, SampleSpec((8, 1)))
    params, latent = stirred(players.generator.params), normal(2, 8, 1)
    generate = jax.jit(lambda z: networks.generate(params, {}, z))
    moved = generate(jnp.roll(latent, shift, axis=1))
    np.testing.assert_allclose(moved, jnp.roll(generate(latent), shift, axis=1), atol=2e-5)
    assert float(jnp.std(moved)) > 1e-2


def test_strided_layers_commute_with_shifts_on_a_periodic_grid():
    down, up = Strided(2, 3, ("circular",) * 2, rng()), Transposed(2, 3, ("circular",) * 2, rng())
    x = normal(1, 4, 8, 2)
    np.testing.assert_allclose(down(jnp.roll(x, (2, 4), (1, 2))), jnp.roll(down(x), (1, 2), (1, 2)), atol=1e-5)
    np.testing.assert_allclose(up(jnp.roll(x, (1, 3), (1, 2))), jnp.roll(up(x), (2, 6), (1, 2)), atol=1e-5)


@pytest.mark.parametrize("rule", ["circular", "zero"])
def test_the_strided_convolution_is_the_plain_sum_over_four_neighbours(rule):
    layer, x = Strided(2, 3, (rule,) * 2, rng()), normal(2, 4, 6, 2)
    mode = {"circular": "wrap", "zero": "constant"}[rule]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode=mode)
    kernel, expected = np.asarray(layer.kernel[...]), np.zeros((2, 2, 3, 3))
    for a, b in np.ndindex(4, 4):
        expected += padded[:, a : a + 3 : 2, b : b + 5 : 2] @ kernel[a, b]
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_the_transposed_convolution_is_the_transpose_of_the_strided_one():
    rules = ("circular",) * 2
    down, up = Strided(2, 3, rules, rng()), Transposed(3, 2, rules, rng())
    up.kernel[...] = jnp.swapaxes(down.kernel[...], -1, -2)
    x, y = normal(2, 4, 6, 2), normal(2, 2, 3, 3)
    np.testing.assert_allclose(jnp.vdot(down(x), y), jnp.vdot(x, up(y)), rtol=1e-4)


def test_a_fourier_layer_is_the_same_operator_on_every_grid():
    config = dataclasses.replace(CONFIG, kind="fno", modes=3)
    layer = FourierLayer(Blueprint(config, (8, 8), ("circular",) * 2, 1, rng()), 2)

    def smooth(points):
        x, y = np.meshgrid(*(2 * np.pi * np.arange(points) / points,) * 2, indexing="ij")
        return jnp.asarray(np.stack([np.sin(x) * np.cos(2 * y), np.cos(x + y)], -1), jnp.float32)[None]

    coarse, fine = (jax.jit(layer)(smooth(points)) for points in (8, 16))
    np.testing.assert_allclose(fine[:, ::2, ::2], coarse, atol=1e-5)
    assert float(jnp.max(jnp.abs(coarse - smooth(8)))) > 0.1


def test_fourier_players_take_another_grid_with_the_same_parameters():
    networks, players = made("fno", SampleSpec((8, 1)))
    params = [stirred(player.params) for player in players]

    def smooth(points):
        return jnp.sin(2 * jnp.pi * jnp.arange(points) / points)[None, :, None]

    coarse, fine = (jax.jit(networks.generate)(params[0], {}, smooth(n)) for n in (8, 32))
    np.testing.assert_allclose(fine[:, ::4], coarse, atol=1e-4)
    # A discriminator of a field that both grids resolve: means over the grid of nonlinear maps differ by little.
    logits = [jax.jit(networks.classify)(params[1], {}, smooth(n)) for n in (16, 64)]
    np.testing.assert_allclose(logits[0], logits[1], atol=0.02)


def test_waves_that_the_grid_does_not_carry_are_refused():
    with pytest.raises(ValueError, match=r"network.modes = 5 does not fit a grid of shape \(8,\)"):
        made("fno", SampleSpec((8, 1)), modes=5)


def test_batch_statistics_are_those_of_all_devices_and_are_used_when_samples_are_drawn():
    x = 3.0 + 2.0 * normal(8, 4, 2)
    training = Training(jax.random.split(jax.random.key(0), 8))
    layer = BatchNormalization(2)
    whole = layer(x, training)
    np.testing.assert_allclose(jnp.mean(whole, (0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(jnp.var(whole, (0, 1)), 1.0, atol=1e-3)
    np.testing.assert_allclose(layer.mean[...], (1 - MEMORY) * jnp.mean(x, (0, 1)), rtol=1e-4)

    def share(part):
        one = BatchNormalization(2)
        y = one(part, Training(jax.random.split(jax.random.key(0), 2), "data"))
        return y, one.variance[...]

    parts, variances = jax.vmap(share, axis_name="data")(x.reshape(4, 2, 4, 2))
    np.testing.assert_allclose(parts.reshape(whole.shape), whole, atol=1e-5)
    np.testing.assert_allclose(variances, jnp.broadcast_to(layer.variance[...], (4, 2)), rtol=1e-5)
    drawn = layer(x, None)
    expected = (x - layer.mean[...]) / jnp.sqrt(layer.variance[...] + 1e-5)
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_drops_its_share_and_follows_the_sample():
    x, keys = jnp.ones((4, 500, 2)), jax.random.split(jax.random.key(0), 4)
    dropped = dropout(x, 0.25, Training(keys), 1)
    assert abs(float(jnp.mean(dropped == 0)) - 0.25) < 0.03
    np.testing.assert_allclose(jnp.mean(dropped), 1.0, atol=0.04)
    np.testing.assert_array_equal(dropout(x[2:], 0.25, Training(keys[2:]), 1), dropped[2:])
    assert not np.array_equal(dropout(x, 0.25, Training(keys), 2), dropped)
    np.testing.assert_array_equal(dropout(x, 0.25, None, 1), x)


def test_the_recurrent_unit_has_its_closed_form():
    unit_of_two = ConvolutionalGRU(2, 3, 1, ("circular",), rng())
    x, h = normal(2, 4, 2), normal(2, 4, 3)
    gates = np.asarray(unit_of_two.gates.kernel[...])[0]
    sigmoid = 1 / (1 + np.exp(-np.concatenate([x, h], -1) @ gates))
    z, r = sigmoid[..., :3], sigmoid[..., 3:]
    candidate = np.tanh(np.concatenate([x, r * h], -1) @ np.asarray(unit_of_two.candidate.kernel[...])[0])
    np.testing.assert_allclose(unit_of_two(x, h), (1 - z) * h + z * candidate, atol=1e-5)


def test_a_later_time_of_a_sequence_depends_on_earlier_noise_and_not_the_other_way():
    networks, players = made("convgru", SampleSpec((3, 8, 1), True))
    params, latent = stirred(players.generator.params), normal(2, 3, 8, 1)
    generate = jax.jit(lambda z: networks.generate(params, {}, z))
    changed = generate(latent.at[:, 1].add(1.0)) - generate(latent)
    assert float(jnp.max(jnp.abs(changed[:, 0]))) == 0.0
    assert float(jnp.max(jnp.abs(changed[:, 2]))) > 1e-3


@pytest.mark.parametrize("kind", ["mlp", "residual"])
def test_the_projection_is_an_inner_product_with_the_condition_and_can_be_left_out(kind):
    spec = SampleSpec((8, 1), False, {"v": (2,)})
    networks, players = made(kind, spec)
    assert "project" in players.discriminator.params["projection"]
    assert not made(kind, spec, projection=False)[1].discriminator.params.get("projection")
    params = stirred(players.discriminator.params)
    zeroed = {**params, "projection": jax.tree.map(jnp.zeros_like, params["projection"])}
    x, v = normal(2, 8, 1), {"v": normal(2, 2)}
    discriminator_kind = jax.jit(networks.classify)
    assert not np.allclose(discriminator_kind(params, {}, x, v), discriminator_kind(zeroed, {}, x, v))


def test_parameters_and_operations_are_those_of_a_dense_network():
    counts = network_counts(NetworkConfig(kind="mlp", width=5, blocks=1, latent=3), SampleSpec((8, 1)))
    assert counts["generator"].parameters == (3 * 5 + 5) + (5 * 8 + 8)
    assert counts["discriminator"].parameters == (8 * 5 + 5) + (5 + 1)
    products = 2 * (3 * 5 + 5 * 8)
    assert products <= counts["generator"].flops <= products + 60
    assert "generator 68 parameters" in in_words(counts)


def test_a_generator_can_face_a_discriminator_of_another_kind():
    _, players = made("residual", SampleSpec((8, 1)), discriminator="mlp")
    assert "chain" in players.discriminator.params and "stages" in players.generator.params
    assert set(KINDS) >= {"residual", "mlp", "dcgan", "unet", "fno", "convgru"}


def test_a_vector_latent_becomes_a_field_like_a_sample_when_its_length_is_zero():
    for kind in ("mlp", "residual"):
        networks, players = made(kind, SampleSpec((3, 8, 1), True), latent=0)
        assert networks.latent == (3, 8, 1)
        assert networks.generate(players.generator.params, {}, normal(2, 3, 8, 1)).shape == (2, 3, 8, 1)
