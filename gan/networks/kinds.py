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
        field_latent: whether the generator maps fields to fields, so that its latent has the sample's shape.
    """

    module: str
    generator: str
    discriminator: str
    field_latent: bool = False


KINDS = {
    "residual": Kind("gan.networks.resnet", "ResidualGenerator", "ResidualDiscriminator"),
    "mlp": Kind("gan.networks.mlp", "DenseGenerator", "DenseDiscriminator"),
    "dcgan": Kind("gan.networks.dcgan", "TransposedGenerator", "StridedDiscriminator"),
    "unet": Kind("gan.networks.unet", "UNetGenerator", "residual", field_latent=True),
    "fno": Kind("gan.networks.fno", "FourierGenerator", "FourierDiscriminator", field_latent=True),
    "convgru": Kind("gan.networks.convgru", "RecurrentGenerator", "residual", field_latent=True),
}

MATCHING = "matching"


def player_classes(generator: str, discriminator: str = MATCHING) -> tuple[Any, Any]:
    """Return the classes of a generator and of a discriminator, which may be of another kind."""
    first, second = KINDS[generator], KINDS[generator if discriminator == MATCHING else discriminator]
    second = KINDS.get(second.discriminator, second)
    return getattr(import_module(first.module), first.generator), getattr(
        import_module(second.module), second.discriminator
    )
