"""Networks that compute in bfloat16: what is rounded, what is not, and how far results are from float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.config import NetworkConfig
from gan.networks.blueprint import Training
from gan.networks.kinds import KINDS
from gan.networks.players import SampleSpec, build
from gan.networks.stochastic import BatchNormalization
from gan.normalizer import Normalizer, unit_samples
from gan.optimizers.products import inner_jaxprs
from gan.training.loop import Trainer
from gan.training.trained import read_description, rebuild

MULTIPLICATIONS = ("dot_general", "conv_general_dilated")
OWN = {"fno": {"modes": 2}, "dcgan": {"batch_norm": "both"}, "waves": {"waves": 3}}
SPEC = SampleSpec((16, 1), conditions={"v": (2,)})


def made(kind: str, compute: str):
    config = NetworkConfig(kind=kind, width=16, levels=2, blocks=2, latent=4, compute=compute, **OWN.get(kind, {}))
    normalizer = unit_samples(config, SPEC.shape)
    given = {"v": Normalizer(np.zeros(2, np.float32), np.ones(2, np.float32))}
    networks, players = build(config, SPEC, normalizer, given)
    source = np.random.default_rng(0)
    # Away from the fix-up start, where residual branches do nothing.
    return networks, jax.tree.map(lambda p: p + 0.1 * source.standard_normal(p.shape).astype(p.dtype), players)


def functions(networks, players):
    """Return samples and logits as functions of the players' parameters."""
    source = np.random.default_rng(1)
    latent, fields, v = (
        jnp.asarray(source.standard_normal((32, *shape)), jnp.float32)
        for shape in (networks.latent, networks.normalized_shape, (2,))
    )

    def samples(params):
        return networks.generate(params, players.generator.state, latent, {"v": v})

    def logits(params):
        return networks.classify(params, players.discriminator.state, fields, {"v": v})

    return (samples, players.generator.params), (logits, players.discriminator.params)


def multiplications(jaxpr):
    """Return the pairs of operand types of every product of a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in MULTIPLICATIONS:
            yield tuple(str(one.aval.dtype) for one in equation.invars)
        for inner in inner_jaxprs(equation):
            yield from multiplications(inner)


def real_products(function, params) -> set[tuple[str, ...]]:
    """Return the operand types of a function's products but those of transforms, which are complex."""
    found = set(multiplications(jax.make_jaxpr(function)(params).jaxpr))
    return {one for one in found if not any("complex" in name for name in one)}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "waves"])
def test_every_product_of_both_players_is_in_bfloat16(kind):
    for function, params in functions(*made(kind, "bfloat16")):
        assert real_products(function, params) == {("bfloat16", "bfloat16")}
    for function, params in functions(*made(kind, "float32")):
        assert real_products(function, params) == {("float32", "float32")}


@pytest.mark.parametrize("kind", ["residual", "dcgan", "fno", "mlp", "waves"])
def test_results_and_gradients_are_float32_and_near_those_of_float32(kind):
    exact, half = (functions(*made(kind, compute)) for compute in ("float32", "bfloat16"))
    for (function, params), (rounded, _) in zip(exact, half):
        found = {}
        for name, one in (("exact", function), ("rounded", rounded)):
            value = one(params)
            gradient = jax.grad(lambda p, one=one: jnp.mean(jnp.square(one(p))))(params)
            found[name] = value, jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(gradient)])
        for wanted, got, bound in zip(found["exact"], found["rounded"], (0.02, 0.05)):
            assert got.dtype == jnp.float32
            distance = float(jnp.linalg.norm(got - wanted) / jnp.linalg.norm(wanted))
            # bfloat16 keeps 8 bits: an error far below 2**-9 would say that nothing was rounded.
            assert 1e-4 < distance < bound, (kind, distance)


def test_samples_are_not_rounded_to_the_few_values_of_bfloat16():
    for kind in KINDS:
        (samples, params), _ = functions(*made(kind, "bfloat16"))
        values = samples(params)
        assert float(jnp.mean(values == values.astype(jnp.bfloat16))) < 0.01, kind


def test_moments_of_batch_normalisation_stay_in_float32():
    layer = BatchNormalization(3)
    # Two fields far from zero, whose difference bfloat16 would not resolve.
    x = jnp.asarray(100.0 + np.random.default_rng(0).standard_normal((512, 3)), jnp.bfloat16)
    made = layer(x, Training(jax.random.split(jax.random.key(0), 2)))
    assert made.dtype == jnp.bfloat16 and layer.variance[...].dtype == jnp.float32
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(layer.variance[...], 0.99 + 0.01 * exact.var(axis=0), rtol=1e-5)


def test_a_training_keeps_parameters_in_float32_and_remembers_how_it_computed(toy, tmp_path):
    recipe = toy.recipe(network={"compute": "bfloat16"}, training={"steps": 4, "log_every": 2, "checkpoint_every": 4})
    trained = Trainer(toy.problem(), recipe, tmp_path).run(False, None)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(trained.params)} == {"float32"}
    assert rebuild(read_description(tmp_path))[1].compute == "bfloat16"
