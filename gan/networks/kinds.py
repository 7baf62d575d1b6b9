"""The kinds of networks, by name. A new kind is one file and one line here.

This module imports no array library: configurations check names against it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """Where the two players of a kind are written.

    Attributes:
        module: that defines them; imported when a network is built.
        generator: class name, built from a :class:`gan.networks.blueprint.Blueprint`; called with (latent, vector
            conditions, field conditions, training).
        discriminator: class name, or the kind whose discriminator it borrows; called with (samples, vector
            conditions, field conditions, training).
        generator_reads: options of :class:`gan.config.NetworkConfig` that its generator reads, of those that belong to
            some kinds. Sizes that presets choose for their data (``levels``, ``blocks``, ``latent``) are not among
            them, though not every kind reads them: a preset's would be in the way of another kind.
        discriminator_reads: those that its own discriminator reads.
        field_latent: whether the generator maps fields to fields, so that its latent has the sample's shape.
    """

    module: str
    generator: str
    discriminator: str
    generator_reads: tuple[str, ...] = ()
    discriminator_reads: tuple[str, ...] = ()
    field_latent: bool = False


KINDS = {
    "residual": Kind(
        "gan.networks.resnet",
        "ResidualGenerator",
        "ResidualDiscriminator",
        generator_reads=("plain_levels", "kernel", "latent_local"),
        discriminator_reads=("plain_levels", "kernel"),
    ),
    "mlp": Kind(
        "gan.networks.mlp",
        "DenseGenerator",
        "DenseDiscriminator",
        generator_reads=("latent_fourier", "latent_signs"),
        discriminator_reads=("fourier",),
    ),
    "residual_mlp": Kind("gan.networks.residual_mlp", "DenseResidualGenerator", "DenseResidualDiscriminator"),
    "waves": Kind("gan.networks.waves", "WaveGenerator", "WaveDiscriminator", ("waves", "short_waves"), ("waves",)),
    "dcgan": Kind(
        "gan.networks.dcgan",
        "TransposedGenerator",
        "StridedDiscriminator",
        generator_reads=("batch_norm",),
        discriminator_reads=("batch_norm", "dropout"),
    ),
    "unet": Kind(
        "gan.networks.unet", "UNetGenerator", "residual", generator_reads=("plain_levels", "kernel"), field_latent=True
    ),
    "fno": Kind(
        "gan.networks.fno",
        "FourierGenerator",
        "FourierDiscriminator",
        generator_reads=("modes",),
        discriminator_reads=("modes",),
        field_latent=True,
    ),
    "convgru": Kind(
        "gan.networks.convgru", "RecurrentGenerator", "residual", generator_reads=("kernel",), field_latent=True
    ),
}

MATCHING = "matching"


def readers(option: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds whose generators and those whose discriminators read an option that belongs to some kinds."""
    return (
        tuple(name for name, kind in KINDS.items() if option in kind.generator_reads),
        tuple(name for name, kind in KINDS.items() if option in kind.discriminator_reads),
    )


def player_kinds(generator: str, discriminator: str = MATCHING) -> tuple[str, str]:
    """Return the kind that the generator is of, and the one that the discriminator is of, which may be borrowed."""
    discriminator_kind = generator if discriminator == MATCHING else discriminator
    borrowed = KINDS[discriminator_kind].discriminator
    return generator, borrowed if borrowed in KINDS else discriminator_kind


def player_classes(generator: str, discriminator: str = MATCHING) -> tuple[Any, Any]:
    """Return the classes of a generator and of a discriminator, which may be of another kind."""
    first, second = (KINDS[kind] for kind in player_kinds(generator, discriminator))
    return getattr(import_module(first.module), first.generator), getattr(
        import_module(second.module), second.discriminator
    )
