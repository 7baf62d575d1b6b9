"""Field-to-field generators in a training: fine detail above a coarse field, and what comes after a first field."""

import jax
import numpy as np
import pytest

from gan.training.loop import Trainer

pytestmark = pytest.mark.slow

STEPS, FRAMES = 300, 3


def travelling(waves: np.ndarray) -> np.ndarray:
    """The wave at three times, a sixteenth of a turn further each: (n, time, x, 1)."""
    return np.stack([np.roll(waves, frame, axis=1) for frame in range(FRAMES)], axis=1)


@pytest.mark.parametrize(("kind", "trajectory"), [("unet", False), ("fno", False), ("convgru", True)])
def test_a_field_to_field_generator_learns_what_its_condition_says(toy, tmp_path, kind, trajectory):
    """Every second point of a wave tells the wave, its first field what follows; the error is that of the condition."""
    waves = toy.waves(512)
    fields = travelling(waves) if trajectory else waves
    train, held = fields[:448], fields[448:]
    coarse = waves[:, ::2]
    problem = toy.problem(
        train=train,
        validation=held,
        condition={"coarse": coarse[:448]},
        validation_condition={"coarse": coarse[448:]},
        trajectory=trajectory,
        symmetries=None,
        solver_layer=None,
    )
    recipe = toy.recipe(
        network={"kind": kind, "width": 8, "levels": 2, **({"modes": 3} if kind == "fno" else {})},
        game={"r1": 0.05, "r2": 0.05},
        solver_layer={"tau": 0.0},
        training={"steps": STEPS, "batch": 32, "log_every": 50, "checkpoint_every": STEPS},
    )
    trainer = Trainer(problem, recipe, tmp_path)

    def error(trained) -> float:
        """Root mean square of sample less field over that of the fields, held-out conditions."""
        made = trained.sample(jax.random.key(1), len(held), {"coarse": coarse[448:]})
        return float(np.sqrt(np.mean((made - held) ** 2) / np.mean(held**2)))

    before = error(trainer.trained(trainer.state, None))
    after = error(trainer.run(False, None))
    assert after < 0.5 * before and after < 0.4, (before, after)
