"""What can be chosen about an adversarial training: frozen dataclasses, read by people and by ``--help``.

This module imports no array library, so that command-line help stays quick. Every field says what it means
and in which unit; values out of range are refused with one sentence when the dataclass is made. Quantities
called *normalised* are in units of the training data's standard deviation; times called *system time* are
in the unit of the dynamical system's own clock.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gan.networks.kinds import KINDS, MATCHING, player_kinds, readers
from gan.optimizers import plays

BATCH_NORM = ("generator", "both", "none")
GAMMA_RULES = ("dimension", "neighbours")
CONFLICTS = ("sum", "config")
SPECTRAL = ("none", "discriminator", "both")
CONSTRAINTS = ("none", "zero_mean", "divergence_free")
OBJECTIVES = (
    "relativistic",
    "relativistic_minimax",
    "relativistic_average",
    "minimax",
    "non_saturating",
    "least_squares",
    "hinge",
    "wasserstein",
)
PLAYS = tuple(plays.TABLE)
COMPETITIVE = tuple(name for name, play in plays.TABLE.items() if play.solved)
TRANSFORMS = ("adam", "sgd")
SCHEDULES = ("cosine", "constant")
PARALLEL = ("pmap", "shard_map", "jit")
PRECISIONS = ("default", "high", "highest")


def option(default: Any, help: str, unit: str = "") -> Any:
    """Return a dataclass field with a default, one line of help and a unit (empty for a pure number)."""
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit})


def _refuse(section: str, name: str, value: Any, remedy: str) -> None:
    raise ValueError(f"{section}.{name} = {value!r} is not usable: {remedy}.")


def _among(section: str, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        _refuse(section, name, value, f"choose one of {', '.join(allowed)}")


def _at_least(section: str, config: Any, **bounds: float | int) -> None:
    for name, bound in bounds.items():
        value = getattr(config, name)
        if not bound <= value < float("inf"):
            _refuse(
                section, name, value, f"it must be at least {bound}" + (", and finite" if value == float("inf") else "")
            )


def _counts(section: str, config: Any, **bounds: tuple[int, int]) -> None:
    """Refuse counts out of their bounds; the upper ones are far above what any training can use."""
    for name, (low, high) in bounds.items():
        value = getattr(config, name)
        if not low <= value <= high:
            _refuse(section, name, value, f"it must be at {f'least {low}' if value < low else f'most {high}'}")


def _positive(section: str, config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            _refuse(section, name, value, "it must be positive and finite")


def _within(section: str, config: Any, low: float | int, high: float | int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not low <= value <= high:
            _refuse(section, name, value, f"it must lie between {low} and {high}")


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the two players' networks."""

    kind: str = option(
        "residual", "residual convolutional, dense (mlp), dcgan, unet, Fourier neural operator (fno) or convgru"
    )
    width: int = option(48, "channels of hidden layers (dcgan: of the finest)", "channels")
    levels: int = option(
        5, "resolutions, each half the one before (residual, dcgan, unet, convgru's discriminator)", "levels"
    )
    blocks: int = option(
        1,
        "residual blocks at each resolution (residual, unet), hidden layers (mlp), Fourier layers (fno) or units "
        "(convgru)",
        "blocks",
    )
    bare: int = option(
        0,
        "finest levels without residual blocks, where the solver's grid is finer than its fields (residual, unet)",
        "levels",
    )
    kernel: int = option(
        3, "points that a convolution spans along each axis, odd (residual, unet, convgru)", "grid points"
    )
    latent: int = option(
        64,
        "length of the generator's random input (residual, mlp, dcgan; 0, and other kinds: a random field like a "
        "sample)",
        "numbers",
    )
    fourier: int = option(0, "random Fourier features of the dense discriminator's input (mlp; 0: none)", "features")
    fourier_scale: float = option(10.0, "largest typical frequency of these features, normalised input")
    latent_fourier: int = option(0, "random Fourier features of the dense generator's input (mlp; 0: none)", "features")
    latent_fourier_scale: float = option(5.0, "largest typical frequency of these features")
    latent_signs: bool = option(False, "dense generator also sees the signs of its latent, so that it can jump (mlp)")
    latent_local: bool = option(
        False, "each point of the coarsest grid has its own share of the latent, one map for all (residual)"
    )
    constraint: str = option("none", "linear hard constraint as the generator's output layer")
    discriminator: str = option(MATCHING, "kind of the discriminator (matching: the one of the generator's kind)")
    modes: int = option(12, "lowest waves along each axis that a Fourier layer maps (fno)", "waves")
    batch_norm: str = option("generator", "players with batch normalisation (dcgan)")
    dropout: float = option(0.0, "share of the discriminator's hidden numbers dropped in training (dcgan)", "share")
    spectral: str = option("none", "players whose kernels are divided by their largest singular value")
    projection: bool = option(True, "condition vectors meet the discriminator's features in an inner product")

    def __post_init__(self) -> None:
        _among("network", "kind", self.kind, tuple(KINDS))
        _among("network", "discriminator", self.discriminator, (MATCHING, *KINDS))
        _among("network", "constraint", self.constraint, CONSTRAINTS)
        _among("network", "spectral", self.spectral, SPECTRAL)
        _among("network", "batch_norm", self.batch_norm, BATCH_NORM)
        _at_least("network", self, bare=0)
        _counts("network", self, width=(1, 2**14), blocks=(1, 100), kernel=(1, 1023), modes=(1, 2**12))
        _counts("network", self, latent=(0, 2**20), fourier=(0, 2**16), latent_fourier=(0, 2**16))
        _positive("network", self, "fourier_scale", "latent_fourier_scale")
        _within("network", self, 0.0, 0.95, "dropout")
        _within("network", self, 1, 30, "levels")
        self._refuse_unread()
        if self.latent_local and self.latent == 0:
            _refuse("network", "latent_local", True, "it divides the random numbers; use a latent above 0")
        if self.bare >= self.levels:
            _refuse("network", "bare", self.bare, f"of {self.levels} levels one or more must keep their blocks")
        if self.kernel % 2 == 0:
            _refuse("network", "kernel", self.kernel, "a convolution needs an odd number of points")

    def _refuse_unread(self) -> None:
        """Refuse an option of other kinds than those that play: what it asks for would be missing in silence."""
        generator, discriminator = player_kinds(self.kind, self.discriminator)
        for field in dataclasses.fields(self):
            value, (makers, judges) = getattr(self, field.name), readers(field.name)
            shared = not makers and not judges
            if shared or value == field.default or generator in makers or discriminator in judges:
                continue
            place = "kind" if makers or self.discriminator == MATCHING else "discriminator"
            _refuse(
                "network",
                field.name,
                value,
                f"neither the {generator} generator nor the {discriminator} discriminator reads it; "
                f"set network.{field.name} to {str(field.default).lower()}, "
                f"or use network.{place} {' or '.join(makers or judges)}, where it is read",
            )


@dataclass(frozen=True)
class GameConfig:
    """What the two players play for."""

    objective: str = option("relativistic", "adversarial loss of both players")
    label_smoothing: float = option(
        0.0, "share by which the target at data falls short of one (minimax, non_saturating)", "share"
    )
    real_weight: float = option(1.0, "weight of the discriminator's term at data (minimax, non_saturating)")
    fake_weight: float = option(
        1.0, "weight of the discriminator's term at samples, in minimax the generator's too (minimax, non_saturating)"
    )
    weight_clip: float = option(0.0, "bound of every parameter of the discriminator (Wasserstein clipping; 0: none)")
    r1: float = option(0.01, "weight of the gradient penalty at data (R1), per grid point and channel")
    r2: float = option(0.01, "weight of the gradient penalty at samples (R2), per grid point and channel")
    penalty_final: float = option(
        1.0, "share of the weights of R1 and R2 that is left at the end; they fall geometrically", "share"
    )
    penalty_until: float = option(1.0, "share of the training over which they fall", "share")
    penalty_every: int = option(
        1, "updates from one with R1, R2 and the WGAN-GP penalty to the next, where they weigh that many times more"
    )
    gamma_rule: str = option(
        "dimension", "what r1 and r2 are multiplied by: count of numbers, or half the squared distance of neighbours"
    )
    gradient_penalty: float = option(0.0, "weight of the WGAN-GP penalty |grad| = 1 between data and samples")
    critic_steps: int = option(1, "discriminator updates for each generator update", "updates")
    ensemble_weight: float = option(0.0, "weight of the fair ensemble score of several draws per condition")
    ensemble_draws: int = option(2, "draws per condition that the ensemble score compares", "draws")
    transport: float = option(
        0.0, "first gradient of the cost |G(z) - z|^2 as a share of the adversarial one (0: none)", "share"
    )
    transport_until: float = option(0.8, "share of the training over which the transport cost fades", "share")
    conflict: str = option(
        "sum", "how gradients of the generator's terms become one: sum, or free of conflict (config)"
    )
    augment_target: float = option(
        0.0, "certainty of the discriminator above which adaptive augmentation rises (0: none; 0.6 is usual)"
    )
    augment_speed: float = option(
        200_000.0, "samples over which the augmentation could rise from none to all", "samples"
    )
    symmetrize: bool = option(False, "pass the generator's samples through random symmetries too, not only the data")

    def __post_init__(self) -> None:
        _among("game", "objective", self.objective, OBJECTIVES)
        _at_least("game", self, r1=0, r2=0, gradient_penalty=0, ensemble_weight=0, weight_clip=0)
        _counts("game", self, critic_steps=(1, 1000), ensemble_draws=(2, 1000), penalty_every=(1, 10**9))
        _at_least("game", self, transport=0)
        _positive("game", self, "penalty_final", "penalty_until")
        _among("game", "gamma_rule", self.gamma_rule, GAMMA_RULES)
        _among("game", "conflict", self.conflict, CONFLICTS)
        _within("game", self, 0.0, 0.5, "label_smoothing")
        _within("game", self, 0.0, 0.99, "augment_target")
        _within("game", self, 0.0, 1.0, "transport_until")
        _positive("game", self, "real_weight", "fake_weight", "augment_speed", "transport_until")
        plain = (self.label_smoothing, self.real_weight, self.fake_weight) == (0, 1, 1)
        if not plain and self.objective not in ("minimax", "non_saturating"):
            _refuse(
                "game",
                "objective",
                self.objective,
                "game.label_smoothing, real_weight and fake_weight belong to minimax and non_saturating",
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """How the two players move: an optax transform each, with decayed step sizes, in a play that joins them."""

    play: str = option("alternating", "game optimizer: how the two players' steps go together")
    adjustment: float = option(1.0, "weight of the change of the gradients (consensus, symplectic)")
    adjustment_limit: float = option(
        1.0, "largest size of that change (0: no limit, as published)", "sizes of the gradients"
    )
    lookahead_steps: int = option(0, "updates between two pulls to slow parameters (0: none)", "updates")
    lookahead_share: float = option(0.5, "how far the slow parameters go towards the fast ones at a pull", "share")
    inner_iterations: int = option(20, "most iterations of the linear solve in each update (competitive)", "iterations")
    inner_tolerance: float = option(1e-4, "relative residual at which the linear solve stops (competitive)")
    inner_warm_start: bool = option(False, "start the linear solve from the last update (competitive)")
    inner_half: bool = option(False, "multiply in bfloat16 inside the linear solve, add in float32 (competitive)")
    transform: str = option("adam", "optax transform of both players; its step sizes alone (competitive)")
    generator_rate: float = option(1.5e-3, "first step size of the generator")
    discriminator_rate: float = option(1.5e-3, "first step size of the discriminator")
    schedule: str = option("cosine", "decay of both step sizes over the training")
    final_rate: float = option(0.02, "last step size as a share of the first", "share")
    warmup: float = option(0.0, "share of the training over which step sizes rise from zero", "share")
    beta1: float = option(0.0, "Adam's memory of gradients")
    beta2: float = option(0.9, "Adam's memory of squared gradients at the start")
    beta2_final: float = option(0.99, "Adam's memory of squared gradients, reached at beta2_until")
    beta2_until: float = option(0.5, "share of the training over which beta2 rises to beta2_final", "share")
    clip: float = option(0.0, "largest gradient norm of each player before scaling (0: no clipping)")
    update_limit: float = option(
        1.0,
        "largest root mean square of Adam's update of one array, before an optimistic step doubles it and takes the "
        "last one away (0: no limit)",
        "step sizes",
    )
    average_half_life: float = option(10_000.0, "half-life of the averaged generator", "samples")

    def __post_init__(self) -> None:
        _among("optimizer", "play", self.play, PLAYS)
        _among("optimizer", "transform", self.transform, TRANSFORMS)
        _among("optimizer", "schedule", self.schedule, SCHEDULES)
        _positive("optimizer", self, "generator_rate", "discriminator_rate")
        _within("optimizer", self, 0.0, 1.0, "final_rate", "warmup", "beta2_until", "lookahead_share")
        _within("optimizer", self, 0.0, 0.9999999, "beta1", "beta2", "beta2_final")
        _at_least("optimizer", self, clip=0, update_limit=0, average_half_life=0)
        _at_least("optimizer", self, adjustment=0, adjustment_limit=0, inner_tolerance=0)
        _counts("optimizer", self, lookahead_steps=(0, 10**9), inner_iterations=(1, 10_000))
        if self.beta1 > 0 and self.play in COMPETITIVE:
            _refuse("optimizer", "beta1", self.beta1, f"play {self.play!r} has no memory of gradients, set it to 0")


@dataclass(frozen=True)
class CarryConfig:
    """The solver as the generator's last layer: how long it carries fields on, growing in training."""

    tau: float = option(0.0, "time over which the solver carries the generator's output on (0: none)", "system time")
    steps: int = option(20, "solver steps within tau", "steps")
    start: float = option(0.1, "carry time at the first training step as a share of tau", "share")
    ramp: float = option(0.25, "share of the training after which the carry time has grown to tau", "share")
    bound: float = option(4.0, "smooth bound of the generator's output before the solver", "normalised")
    limit: float = option(20.0, "size past which a carried field is refused as blown up", "normalised")

    def __post_init__(self) -> None:
        _at_least("carry", self, tau=0)
        _counts("carry", self, steps=(1, 10**6))
        _within("carry", self, 0.0, 1.0, "start", "ramp")
        _positive("carry", self, "bound", "limit")


@dataclass(frozen=True)
class TrainingConfig:
    """Length of the training, its batches, its devices, its records and the limits past which it stops."""

    steps: int = option(4000, "generator updates", "updates")
    batch: int = option(64, "samples in each update, over all devices", "samples")
    seed: int = option(0, "seed of parameters, latents and the order of the data")
    parallel: str = option("pmap", "how the step is spread over devices")
    devices: int = option(0, "devices to use (0: all that are visible)", "devices")
    cpu_devices: int = option(
        1, "devices that the command line splits a CPU into; 2 make convolutions faster on 2 free cores", "devices"
    )
    precision: str = option("highest", "matrix precision of networks on accelerators (default: TF32 where it is)")
    steps_per_call: int = option(
        1, "updates compiled into one call; more than 1 pays for small networks without convolutions", "updates"
    )
    log_every: int = option(20, "steps between two lines of metrics.jsonl", "updates")
    checkpoint_every: int = option(1000, "steps between two checkpoints, a multiple of log_every", "updates")
    alarm_after: int = option(2000, "steps for which something must go wrong before an alarm says so", "updates")
    diagnose_every: int = option(
        0, "steps between two diagnoses of gradients and rotation, a multiple of log_every (0: none)", "updates"
    )
    keep: int = option(2, "latest checkpoints to keep beside the best one", "checkpoints")
    validation_samples: int = option(2048, "samples drawn for the validation metric", "samples")
    film: int = option(
        0, "validation samples kept at every checkpoint, with the generator's weights (0: none)", "samples"
    )
    sample_chunk: int = option(256, "samples drawn at once", "samples")
    loss_limit: float = option(1e4, "loss of either player past which the training has diverged")
    gradient_limit: float = option(1e6, "gradient norm of either player past which the training has diverged")

    def __post_init__(self) -> None:
        _among("training", "parallel", self.parallel, PARALLEL)
        _among("training", "precision", self.precision, PRECISIONS)
        _at_least("training", self, seed=0)
        updates, samples = 10**9, 2**24
        _counts("training", self, steps=(1, updates), log_every=(1, updates), checkpoint_every=(1, updates))
        _counts("training", self, alarm_after=(1, updates), diagnose_every=(0, updates), steps_per_call=(1, 10_000))
        _counts("training", self, batch=(1, samples), validation_samples=(2, samples), sample_chunk=(1, samples))
        _counts("training", self, film=(0, samples), keep=(1, 10**6), devices=(0, 2**16), cpu_devices=(1, 1024))
        if self.diagnose_every % self.log_every:
            _refuse(
                "training",
                "diagnose_every",
                self.diagnose_every,
                f"it must be a multiple of log_every = {self.log_every}, because its values are logged",
            )
        _positive("training", self, "loss_limit", "gradient_limit")
        if self.checkpoint_every % self.log_every:
            _refuse(
                "training",
                "checkpoint_every",
                self.checkpoint_every,
                f"it must be a multiple of log_every = {self.log_every}, because only a checked state is worth keeping",
            )
        for name in ("log_every", "steps"):
            if getattr(self, name) % self.steps_per_call:
                _refuse(
                    "training",
                    name,
                    getattr(self, name),
                    f"make it a multiple of steps_per_call = {self.steps_per_call}",
                )
        if self.seed >= 2**32:
            _refuse("training", "seed", self.seed, "it must be smaller than 2**32")


@dataclass(frozen=True)
class Recipe:
    """All of it: what ``gan.train`` reads. Any object with these five attributes serves as well."""

    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    game: GameConfig = dataclasses.field(default_factory=GameConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    carry: CarryConfig = dataclasses.field(default_factory=CarryConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.game.penalty_every > 1 and self.training.steps_per_call > 1:
            _refuse(
                "game",
                "penalty_every",
                self.game.penalty_every,
                f"one compiled call makes training.steps_per_call = {self.training.steps_per_call} updates that are "
                "all alike; set one of the two to 1",
            )

    @classmethod
    def of(cls, config: Any) -> Recipe:
        """Pick the five sections out of a larger configuration."""
        return cls(**{field.name: getattr(config, field.name) for field in dataclasses.fields(cls)})

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain nested dictionaries, as written beside the checkpoints."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, dict[str, Any]]) -> Recipe:
        """Rebuild a recipe from :meth:`as_dict`.

        Raises:
            ValueError: a section is missing, or an option that this version does not have.
        """
        sections = (NetworkConfig, GameConfig, OptimizerConfig, CarryConfig, TrainingConfig)
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            return cls(**{name: section(**values[name]) for name, section in zip(names, sections)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"The recipe is not one of this version ({error}): use the one that wrote it.") from error
