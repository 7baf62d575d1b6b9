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
from gan.optimizers import schemes
from gan.settings import check, setting

BATCH_NORM = ("generator", "both", "none")
GAMMA_RULES = ("dimension", "neighbours", "fixed")
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
    "flow_matching",
)
FLOW_MATCHING = OBJECTIVES[-1]
FOR_TWO_PLAYERS = (
    "weight_clip",
    "gradient_penalty",
    "critic_steps",
    "ensemble_weight",
    "transport",
    "conflict",
    "augment_target",
)
SCHEMES = tuple(schemes.TABLE)
COMPETITIVE = tuple(name for name, scheme in schemes.TABLE.items() if scheme.solved)
TRANSFORMS = ("adam", "sgd")
SCHEDULES = ("cosine", "constant")
PARALLEL = ("pmap", "shard_map", "jit", "space")
COMPUTE = ("float32", "bfloat16")
PRECISIONS = ("default", "high", "highest")


MOST_UPDATES, MOST_SAMPLES = 10**9, 2**24
"""Far above what any training can use: what is above is a slip of the pen."""


def _refuse(section: str, name: str, value: Any, remedy: str) -> None:
    raise ValueError(f"{section}.{name} = {value!r} is not usable: {remedy}.")


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of the two players' networks."""

    kind: str = setting(
        "residual",
        "residual convolutional, dense (mlp, residual_mlp), dense on waves, dcgan, unet, Fourier neural operator (fno) "
        "or convgru",
        choices=tuple(KINDS),
    )
    width: int = setting(48, "channels of hidden layers (dcgan: of the finest)", "channels", minimum=1, maximum=2**14)
    levels: int = setting(
        5,
        "resolutions, each half the one before (residual, dcgan, unet, convgru's discriminator)",
        "levels",
        minimum=1,
        maximum=30,
    )
    blocks: int = setting(
        1,
        "residual blocks at each resolution (residual, unet) or in all (residual_mlp, waves), hidden layers (mlp), "
        "Fourier layers (fno) or units (convgru)",
        "blocks",
        minimum=1,
        maximum=100,
    )
    plain_levels: int = setting(
        0,
        "finest levels without residual blocks, where the solver's grid is finer than its fields (residual, unet)",
        "levels",
        minimum=0,
    )
    kernel: int = setting(
        3,
        "points that a convolution spans along each axis, odd (residual, unet, convgru)",
        "grid points",
        minimum=1,
        maximum=1023,
    )
    latent: int = setting(
        64,
        "length of the generator's random input (residual, mlp, residual_mlp, waves, dcgan; 0, and other kinds: a "
        "random field like a sample)",
        "numbers",
        minimum=0,
        maximum=2**20,
    )
    fourier: int = setting(
        0,
        "random Fourier features of the dense discriminator's input (mlp; 0: none)",
        "features",
        minimum=0,
        maximum=2**16,
    )
    fourier_scale: float = setting(10.0, "largest typical frequency of these features, normalised input", above=0)
    latent_fourier: int = setting(
        0,
        "random Fourier features of the dense generator's input (mlp; 0: none)",
        "features",
        minimum=0,
        maximum=2**16,
    )
    latent_fourier_scale: float = setting(5.0, "largest typical frequency of these features", above=0)
    latent_signs: bool = setting(False, "dense generator also sees the signs of its latent, so that it can jump (mlp)")
    latent_local: bool = setting(
        False, "each point of the coarsest grid has its own share of the latent, one map for all (residual)"
    )
    constraint: str = setting("none", "linear hard constraint as the generator's output layer", choices=CONSTRAINTS)
    discriminator: str = setting(
        MATCHING,
        "kind of the discriminator (matching: the one of the generator's kind)",
        choices=(MATCHING, *KINDS),
    )
    modes: int = setting(
        12,
        "lowest modes along each axis that a Fourier layer maps (fno)",
        "waves",
        minimum=1,
        maximum=2**12,
    )
    waves: int = setting(
        6,
        "the players see and make the waves of a periodic grid with at most so many waves per box, |k| <= waves in the "
        "plane and in space; the solver makes the shorter ones (waves)",
        "waves",
        minimum=1,
        maximum=2**10,
    )
    short_waves: int = setting(
        0,
        "beside them samples have the shorter waves up to so many per box, by a quadratic fit to the data; none where "
        "it is not above network.waves (waves)",
        "waves",
        minimum=0,
        maximum=2**10,
    )
    batch_norm: str = setting("generator", "players with batch normalisation (dcgan)", choices=BATCH_NORM)
    dropout: float = setting(
        0.0,
        "share of the discriminator's hidden numbers dropped in training (dcgan)",
        "share",
        minimum=0,
        maximum=0.95,
    )
    spectral: str = setting(
        "none",
        "players whose kernels are divided by their largest singular value",
        choices=SPECTRAL,
    )
    compute: str = setting(
        "float32",
        "precision inside the networks; bfloat16 halves the memory of hidden fields, and parameters, batch statistics, "
        "results of the networks and all physics stay in float32",
        choices=COMPUTE,
    )
    projection: bool = setting(True, "condition vectors meet the discriminator's features in an inner product")

    def __post_init__(self) -> None:
        check(self, "network")
        self._refuse_unread()
        if self.latent_local and self.latent == 0:
            _refuse("network", "latent_local", True, "it divides the random numbers; use a latent above 0")
        if self.plain_levels >= self.levels:
            _refuse(
                "network",
                "plain_levels",
                self.plain_levels,
                f"of {self.levels} levels one or more must keep their blocks",
            )
        if self.kernel % 2 == 0:
            _refuse("network", "kernel", self.kernel, "a convolution needs an odd number of points")

    def _refuse_unread(self) -> None:
        """Refuse an option of other kinds than those that play: what it asks for would be missing in silence."""
        generator, discriminator = player_kinds(self.kind, self.discriminator)
        for field in dataclasses.fields(self):
            value, (makers, discriminators) = getattr(self, field.name), readers(field.name)
            shared = not makers and not discriminators
            if shared or value == field.default or generator in makers or discriminator in discriminators:
                continue
            place = "kind" if makers or self.discriminator == MATCHING else "discriminator"
            _refuse(
                "network",
                field.name,
                value,
                f"neither the {generator} generator nor the {discriminator} discriminator reads it; "
                f"set network.{field.name} to {str(field.default).lower()}, "
                f"or use network.{place} {' or '.join(makers or discriminators)}, where it is read",
            )


@dataclass(frozen=True)
class GameConfig:
    """What the two players play for."""

    objective: str = setting(
        "relativistic",
        "adversarial loss of both players, or regression of a velocity without a discriminator (flow_matching)",
        choices=OBJECTIVES,
    )
    label_smoothing: float = setting(
        0.0,
        "share by which the target at data falls short of one (minimax, non_saturating)",
        "share",
        minimum=0,
        maximum=0.5,
    )
    real_weight: float = setting(1.0, "weight of the discriminator's term at data (minimax, non_saturating)", above=0)
    fake_weight: float = setting(
        1.0,
        "weight of the discriminator's term at samples, in minimax the generator's too (minimax, non_saturating)",
        above=0,
    )
    weight_clip: float = setting(
        0.0,
        "bound of every parameter of the discriminator (Wasserstein clipping; 0: none)",
        minimum=0,
    )
    r1: float = setting(0.01, "weight of the gradient penalty at data (R1), times what gamma_rule says", minimum=0)
    r2: float = setting(0.01, "weight of the gradient penalty at samples (R2), times what gamma_rule says", minimum=0)
    penalty_final: float = setting(
        1.0, "share of the weights of R1 and R2 that is left at the end; they fall geometrically", "share", above=0
    )
    penalty_until: float = setting(1.0, "share of the training over which they fall", "share", above=0)
    penalty_every: int = setting(
        1,
        "updates from one with R1, R2 and the WGAN-GP penalty to the next, where they weigh that many times more",
        minimum=1,
        maximum=MOST_UPDATES,
    )
    gamma_rule: str = setting(
        "dimension",
        "what r1 and r2 are multiplied by: the count of numbers in a sample, half the squared distance of neighbours, "
        "or nothing (fixed), as papers write them",
        choices=GAMMA_RULES,
    )
    gradient_penalty: float = setting(
        0.0,
        "weight of the WGAN-GP penalty |grad| = 1 between data and samples",
        minimum=0,
    )
    evaluations: int = setting(
        20, "evaluations of the network for one sample, even (flow_matching)", minimum=2, maximum=10_000
    )
    critic_steps: int = setting(
        1,
        "discriminator updates for each generator update",
        "updates",
        minimum=1,
        maximum=1000,
    )
    ensemble_weight: float = setting(0.0, "weight of the fair ensemble score of several draws per condition", minimum=0)
    ensemble_draws: int = setting(
        2,
        "draws per condition that the ensemble score compares",
        "draws",
        minimum=2,
        maximum=1000,
    )
    transport: float = setting(
        0.0, "first gradient of the cost |G(z) - z|^2 as a share of the adversarial one (0: none)", "share", minimum=0
    )
    transport_until: float = setting(
        0.8,
        "share of the training over which the transport cost fades",
        "share",
        above=0,
        maximum=1,
    )
    conflict: str = setting(
        "sum", "how gradients of the generator's terms become one: sum, or free of conflict (config)", choices=CONFLICTS
    )
    augment_target: float = setting(
        0.0,
        "certainty of the discriminator above which adaptive augmentation rises (0: none; 0.6 is usual)",
        minimum=0,
        maximum=0.99,
    )
    augment_speed: float = setting(
        200_000.0, "samples over which the augmentation could rise from none to all", "samples", above=0
    )
    symmetrize: bool = setting(False, "pass the generator's samples through random symmetries too, not only the data")

    def __post_init__(self) -> None:
        check(self, "game")
        plain = (self.label_smoothing, self.real_weight, self.fake_weight) == (0, 1, 1)
        if not plain and self.objective not in ("minimax", "non_saturating"):
            _refuse(
                "game",
                "objective",
                self.objective,
                "game.label_smoothing, real_weight and fake_weight belong to minimax and non_saturating",
            )
        if self.evaluations % 2:
            _refuse("game", "evaluations", self.evaluations, "the midpoint rule takes two a step; give an even number")
        if self.objective == FLOW_MATCHING:
            self._refuse_adversarial()

    def _refuse_adversarial(self) -> None:
        """Refuse what only a game of two players reads, and would be missing in silence."""
        for name in FOR_TWO_PLAYERS:
            value, default = getattr(self, name), type(self).__dataclass_fields__[name].default
            if value != default:
                _refuse("game", name, value, f"flow_matching has no discriminator; set it to {str(default).lower()}")


@dataclass(frozen=True)
class OptimizerConfig:
    """How the two players move: an optax transform each, with decayed step sizes, in an update scheme that joins
    them."""

    scheme: str = setting("alternating", "game optimizer: how the two players' steps go together", choices=SCHEMES)
    adjustment: float = setting(1.0, "weight of the change of the gradients (consensus, symplectic)", minimum=0)
    adjustment_limit: float = setting(
        1.0, "largest size of that change (0: no limit, as published)", "sizes of the gradients", minimum=0
    )
    lookahead_steps: int = setting(
        0,
        "updates between two pulls to slow parameters (0: none)",
        "updates",
        minimum=0,
        maximum=MOST_UPDATES,
    )
    lookahead_share: float = setting(
        0.5,
        "how far the slow parameters go towards the fast ones at a pull",
        "share",
        minimum=0,
        maximum=1,
    )
    inner_iterations: int = setting(
        20,
        "most iterations of the linear solve in each update (competitive)",
        "iterations",
        minimum=1,
        maximum=10_000,
    )
    inner_tolerance: float = setting(1e-4, "relative residual at which the linear solve stops (competitive)", minimum=0)
    inner_warm_start: bool = setting(False, "start the linear solve from the last update (competitive)")
    inner_half: bool = setting(False, "multiply in bfloat16 inside the linear solve, add in float32 (competitive)")
    transform: str = setting(
        "adam",
        "optax transform of both players; its step sizes alone (competitive)",
        choices=TRANSFORMS,
    )
    generator_rate: float = setting(1.5e-3, "first step size of the generator", above=0)
    discriminator_rate: float = setting(1.5e-3, "first step size of the discriminator", above=0)
    schedule: str = setting("cosine", "decay of both step sizes over the training", choices=SCHEDULES)
    final_rate: float = setting(0.02, "last step size as a share of the first", "share", minimum=0, maximum=1)
    warmup: float = setting(
        0.0,
        "share of the training over which step sizes rise from zero",
        "share",
        minimum=0,
        maximum=1,
    )
    beta1: float = setting(0.0, "Adam's memory of gradients", minimum=0, below=1)
    beta2: float = setting(0.9, "Adam's memory of squared gradients at the start", minimum=0, below=1)
    beta2_final: float = setting(0.99, "Adam's memory of squared gradients, reached at beta2_until", minimum=0, below=1)
    beta2_until: float = setting(
        0.5,
        "share of the training over which beta2 rises to beta2_final",
        "share",
        minimum=0,
        maximum=1,
    )
    clip: float = setting(0.0, "largest gradient norm of each player before scaling (0: no clipping)", minimum=0)
    update_limit: float = setting(
        1.0,
        "largest root mean square of Adam's update of one array, before an optimistic step doubles it and takes the "
        "last one away (0: no limit)",
        "step sizes",
        minimum=0,
    )
    average_half_life: float = setting(10_000.0, "half-life of the averaged generator", "samples", minimum=0)

    def __post_init__(self) -> None:
        check(self, "optimizer")
        if self.beta1 > 0 and self.scheme in COMPETITIVE:
            _refuse("optimizer", "beta1", self.beta1, f"scheme {self.scheme!r} has no memory of gradients, set it to 0")


@dataclass(frozen=True)
class SolverLayerConfig:
    """The solver as the generator's last layer: how long it advances fields, growing in training."""

    tau: float = setting(
        0.0,
        "time over which the solver advances the generator's output (0: none)",
        "system time",
        minimum=0,
    )
    steps: int = setting(20, "solver steps within tau", "steps", minimum=1, maximum=10**6)
    in_training: bool = setting(
        True, "the discriminator judges what the solver advanced, and gradients run through it; else it only finishes"
    )
    start: float = setting(
        0.1,
        "solver-layer time at the first training step as a share of tau",
        "share",
        minimum=0,
        maximum=1,
    )
    ramp: float = setting(
        0.25,
        "share of the training after which the solver-layer time has grown to tau",
        "share",
        minimum=0,
        maximum=1,
    )
    bound: float = setting(4.0, "smooth bound of the generator's output before the solver", "normalised", above=0)
    limit: float = setting(20.0, "size past which an advanced field is refused as blown up", "normalised", above=0)

    def __post_init__(self) -> None:
        check(self, "solver_layer")


@dataclass(frozen=True)
class TrainingConfig:
    """Length of the training, its batches, its devices, its records and the limits past which it stops."""

    steps: int = setting(4000, "generator updates", "updates", minimum=1, maximum=MOST_UPDATES)
    batch: int = setting(64, "samples in each update, over all devices", "samples", minimum=1, maximum=MOST_SAMPLES)
    seed: int = setting(0, "seed of parameters, latents and the order of the data", minimum=0, maximum=2**32 - 1)
    parallel: str = setting(
        "pmap", "how the step is spread over devices; space: every field is cut, not the batch", choices=PARALLEL
    )
    devices: int = setting(0, "devices to use (0: all that are visible)", "devices", minimum=0, maximum=2**16)
    cpu_devices: int = setting(
        1,
        "devices that the command line splits a CPU into; 2 make convolutions faster on 2 free cores",
        "devices",
        minimum=1,
        maximum=1024,
    )
    precision: str = setting(
        "highest",
        "matrix precision of networks on accelerators (default: TF32 where it is)",
        choices=PRECISIONS,
    )
    steps_per_call: int = setting(
        1,
        "updates compiled into one call; more than 1 pays for small networks without convolutions",
        "updates",
        minimum=1,
        maximum=10_000,
    )
    log_every: int = setting(20, "steps between two lines of metrics.jsonl", "updates", minimum=1, maximum=MOST_UPDATES)
    checkpoint_every: int = setting(
        1000,
        "steps between two checkpoints, a multiple of log_every",
        "updates",
        minimum=1,
        maximum=MOST_UPDATES,
    )
    alarm_after: int = setting(
        2000,
        "steps for which something must go wrong before an alarm says so",
        "updates",
        minimum=1,
        maximum=MOST_UPDATES,
    )
    diagnose_every: int = setting(
        0,
        "steps between two diagnoses of gradients and rotation, a multiple of log_every (0: none)",
        "updates",
        minimum=0,
        maximum=MOST_UPDATES,
    )
    keep: int = setting(2, "latest checkpoints to keep beside the best one", "checkpoints", minimum=1, maximum=10**6)
    validation_samples: int = setting(
        2048,
        "samples drawn for the validation metric",
        "samples",
        minimum=2,
        maximum=MOST_SAMPLES,
    )
    sample_history: int = setting(
        0,
        "validation samples kept at every checkpoint, with the generator's weights (0: none)",
        "samples",
        minimum=0,
        maximum=MOST_SAMPLES,
    )
    sample_chunk: int = setting(256, "samples drawn at once", "samples", minimum=1, maximum=MOST_SAMPLES)
    loss_limit: float = setting(1e4, "loss of either player past which the training has diverged", above=0)
    gradient_limit: float = setting(1e6, "gradient norm of either player past which the training has diverged", above=0)

    def __post_init__(self) -> None:
        check(self, "training")
        if self.diagnose_every % self.log_every:
            _refuse(
                "training",
                "diagnose_every",
                self.diagnose_every,
                f"it must be a multiple of log_every = {self.log_every}, because its values are logged",
            )
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


@dataclass(frozen=True)
class Recipe:
    """All of it: what ``gan.train`` reads. Any object with these five attributes serves as well."""

    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    game: GameConfig = dataclasses.field(default_factory=GameConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    solver_layer: SolverLayerConfig = dataclasses.field(default_factory=SolverLayerConfig)
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
        sections = (NetworkConfig, GameConfig, OptimizerConfig, SolverLayerConfig, TrainingConfig)
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            return cls(**{name: section(**values[name]) for name, section in zip(names, sections)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"The recipe is not one of this version ({error}): use the one that wrote it.") from error
