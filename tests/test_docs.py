"""Code that the pages show is run as it stands there."""

import re
from pathlib import Path

import jax.numpy as jnp
import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def block(page: str, heading: str) -> str:
    """The first Python block below a heading of a page."""
    text = (DOCS / page).read_text().partition(f"## {heading}\n")[2]
    return re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)


@pytest.mark.float64
def test_the_system_that_the_page_adds_carries_the_exact_solitary_wave():
    names = {"__name__": "own_system"}
    exec(compile(block("physics.md", "Add your own system in 30 lines"), "docs/physics.md", "exec"), names)
    assert float(names["error"]) < 1e-6
    assert float(jnp.max(jnp.abs(names["mismatch"]))) < 1e-12
    still = jnp.max(jnp.abs(names["fields"][-1] - names["wave"](names["system"].grid, 0.0)))
    assert float(still) > 0.2
