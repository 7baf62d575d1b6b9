"""Options that belong to some kinds of networks: the table says who reads them, the others refuse them."""

import dataclasses
import re

import numpy as np
import pytest

from gan.config import NetworkConfig
from gan.networks.blueprint import Blueprint
from gan.networks.kinds import KINDS, MATCHING, player_classes, player_kinds, readers
from gan.normalizer import unit_samples

VALUES = {
    "plain_levels": 1,
    "kernel": 5,
    "latent_local": True,
    "latent_fourier": 3,
    "latent_signs": True,
    "fourier": 3,
    "batch_norm": "both",
    "dropout": 0.2,
    "modes": 3,
    "waves": 3,
    "short_waves": 5,
}
WAVES = unit_samples(NetworkConfig(kind="waves"), (32, 1))
# Sizes that presets choose for their data, and scales that say nothing without the features beside them.
SHARED = {"levels", "blocks", "fourier_scale", "latent_fourier_scale"}
NAMES = [field.name for field in dataclasses.fields(NetworkConfig)]


def seen_by(kind: str) -> tuple[set[str], set[str]]:
    """The options that the constructors of a kind's generator and of its discriminator look at."""
    found = []
    for place, player in enumerate(player_classes(kind)):
        seen = set()

        class Watched(NetworkConfig):
            def __getattribute__(self, name, seen=seen):
                seen.add(name)
                return super().__getattribute__(name)

        config = Watched(kind=kind, width=2, levels=2, latent=4)
        seen.clear()
        latent = (32, 1) if KINDS[kind].field_latent and place == 0 else (4,)
        plan = Blueprint(config, (32,), ("circular",), 1, np.random.default_rng(0), latent=latent, vector=2)
        if kind == "waves":
            plan = dataclasses.replace(plan, grid=(), rules=(), channels=2 * WAVES.waves, normalizer=WAVES)
        player(plan)
        found.append(seen & set(NAMES))
    return found[0], found[1]


def test_every_kind_reads_those_options_that_the_table_says():
    owned = {name for name in NAMES if any(readers(name))}
    assert owned == set(VALUES)
    players = []
    for kind in KINDS:
        generator, discriminator = seen_by(kind)
        assert generator & owned == set(KINDS[kind].generator_reads), kind
        assert discriminator & owned == set(KINDS[player_kinds(kind)[1]].discriminator_reads), kind
        players.append(generator | discriminator)
    # Whatever else some kinds read and others do not must have a reason to be let through in silence.
    assert set.union(*players) - set.intersection(*players) - owned == SHARED


@pytest.mark.parametrize("name", VALUES)
def test_help_names_the_kinds_that_read_an_option(name):
    told = NetworkConfig.__dataclass_fields__[name].metadata["help"]
    assert {kind for kind in KINDS if re.search(rf"\b{kind}\b", told)} == set().union(*readers(name))


@pytest.mark.parametrize("name", VALUES)
def test_an_option_that_neither_player_reads_is_refused_with_the_remedy(name):
    makers, discriminators = readers(name)
    default = NetworkConfig.__dataclass_fields__[name].default
    for kind in KINDS:
        for other in (MATCHING, *KINDS):
            generator, discriminator = player_kinds(kind, other)
            told = {"kind": kind, "discriminator": other}
            if generator in makers or discriminator in discriminators:
                assert getattr(NetworkConfig(**told, **{name: VALUES[name]}), name) == VALUES[name]
                continue
            assert getattr(NetworkConfig(**told, **{name: default}), name) == default
            with pytest.raises(ValueError) as caught:
                NetworkConfig(**told, **{name: VALUES[name]})
            found = re.fullmatch(
                rf"network\.{name} = {VALUES[name]!r} is not usable: neither the {generator} generator nor the "
                rf"{discriminator} discriminator reads it; set network\.{name} to (\S+), or use network\.(\w+) "
                r"(.+), where it is read\.",
                str(caught.value),
            )
            assert found[1] == str(default).lower()
            # The other way out works too.
            for usable in found[3].split(" or "):
                assert NetworkConfig(**{**told, found[2]: usable}, **{name: VALUES[name]})


def test_the_kind_of_a_discriminator_may_be_borrowed():
    assert player_kinds("unet") == ("unet", "residual")
    assert player_kinds("mlp", "convgru") == ("mlp", "residual")
    assert NetworkConfig(kind="convgru", plain_levels=1).plain_levels == 1
    with pytest.raises(ValueError, match="neither the convgru generator nor the mlp discriminator"):
        NetworkConfig(kind="convgru", discriminator="mlp", plain_levels=1)
