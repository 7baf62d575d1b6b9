"""Every update scheme is built and refused as the table says."""

import jax
import jax.numpy as jnp
import pytest

from gan.config import GameConfig, OptimizerConfig
from gan.dirac import dirac_game
from gan.game import Batch, Player, Players
from gan.optimizers.schemes import TABLE
from gan.optimizers.selection import game_optimizer

STEPS, FINAL = 4, 0.25


def built(name: str, objective: str = "minimax", **game):
    config = OptimizerConfig(
        scheme=name, transform="sgd", final_rate=FINAL, generator_rate=0.5, discriminator_rate=0.25
    )
    return game_optimizer(config, GameConfig(objective, **game), STEPS)


@pytest.mark.parametrize("name", [name for name, scheme in TABLE.items() if not scheme.solved])
def test_step_sizes_reach_their_last_value_at_the_end_of_the_training_and_not_before(name):
    critic = 3 if TABLE[name].critic_steps else 1
    optimizer = built(name, critic_steps=critic)
    batch = Batch(jnp.zeros((critic, 1, 1)), {}, jnp.zeros((critic, 1), int), jnp.zeros(critic))
    players = Players(Player(jnp.ones(()), {}), Player(jnp.ones(()), {}))
    state = optimizer.init(players)
    game = dirac_game("minimax", 0.0)
    update = jax.jit(lambda players, state: optimizer.update(game, players, state, batch, jax.random.key(0))[:2])
    for _ in range(STEPS):
        players, state = update(players, state)
    for player, first in zip(state, (0.5, 0.25)):
        assert player.hyperparams["learning_rate"] > 1.01 * FINAL * first
    _, state = update(players, state)
    for player, first in zip(state, (0.5, 0.25)):
        assert player.hyperparams["learning_rate"] == pytest.approx(FINAL * first)


@pytest.mark.parametrize("name", TABLE)
def test_what_a_scheme_cannot_do_is_refused_and_the_rest_is_built(name):
    scheme = TABLE[name]
    asked = [
        (scheme.critic_steps, {"critic_steps": 2}, f"critic_steps = 2 .*{name!r}, in which both players move at once"),
        (not scheme.solved, {"weight_clip": 0.1}, f"weight_clip = 0.1 .*{name!r}, whose steps are solved for"),
        (not scheme.zero_sum, {"objective": "hinge"}, f"objective = 'hinge' .*{name!r}, because .* add up to zero"),
    ]
    for allowed, game, sentence in asked:
        if allowed:
            assert built(name, **game) is not None
        else:
            with pytest.raises(ValueError, match=sentence):
                built(name, **game)
    if not scheme.solved:
        assert OptimizerConfig(scheme=name, beta1=0.5).beta1 == 0.5
    else:
        with pytest.raises(ValueError, match=f"beta1 = 0.5.*{name!r} has no memory"):
            OptimizerConfig(scheme=name, beta1=0.5)


def test_the_schemes_differ_in_what_they_allow():
    def those(attribute):
        return {name for name, scheme in TABLE.items() if getattr(scheme, attribute)}

    assert those("critic_steps") == {"alternating"}
    assert those("solved") == {"competitive", "competitive_general_sum"}
    assert those("zero_sum") == {"competitive"}
    assert not built("competitive").general_sum and built("competitive_general_sum").general_sum
