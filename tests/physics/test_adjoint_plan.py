"""Planning the reverse pass: predicted against planned memory, the order of choices, what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import Grid, KuramotoSivashinsky, Lorenz63, NavierStokes2D, advance, plan_adjoint

KS = KuramotoSivashinsky(Grid((32,), (22.0,)))
_CASES = [
    pytest.param(KS, 8, 300, id="one-dimensional"),
    pytest.param(
        NavierStokes2D(Grid((16, 16), (2 * np.pi, 2 * np.pi)), 1e-2), 2, 150, id="plane", marks=pytest.mark.slow
    ),
    pytest.param(Lorenz63(), 64, 300, id="ordinary", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("system", "batch", "steps"), _CASES)
def test_predicted_memory_is_within_a_quarter_of_what_xla_plans_and_less_memory_means_more_work(system, batch, steps):
    def planned(adjoint):
        def loss(u):
            end = jax.vmap(lambda v: advance(system, v, system.recommended_dt, steps, adjoint=adjoint))
            return (end(u) ** 2).mean()

        fields = jax.ShapeDtypeStruct((batch, *system.field_shape), jnp.float32)
        return jax.jit(jax.grad(loss)).lower(fields).compile().memory_analysis().temp_size_in_bytes

    budget, chosen = 2**40, []
    for _ in range(3):
        plan = plan_adjoint(system, None, steps, batch, jnp.float32, budget)
        assert plan.bytes <= budget
        assert abs(plan.bytes / planned(plan.adjoint) - 1) < 0.25, plan
        chosen.append(plan.adjoint)
        budget = plan.bytes - 1
    assert chosen == ["stages", "steps", "sqrt"]
    with pytest.raises(ValueError, match=f"at least {plan.bytes} bytes are needed"):
        plan_adjoint(system, None, steps, batch, jnp.float32, budget)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more, not 0"),
        ({"batch": 0}, "batch must be 1 or more, not 0"),
        ({"memory_bytes": -1}, "memory_bytes must be 1 or more, not -1"),
        ({"dtype": jnp.float64}, "float64 needs jax.config.update"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(changed, message):
    arguments = {"steps": 10, "batch": 1, "dtype": jnp.float32, "memory_bytes": 10**9} | changed
    with pytest.raises(ValueError, match=message):
        plan_adjoint(KS, None, **arguments)
