"""What would take an unreasonable number of solver steps or bytes is refused before anything is made."""

import pytest

from experiments import catalog
from experiments.errors import UserError
from experiments.estimate import check_cost, check_refinement

MORE = {
    ("data.chunk", "1000000000000"): {"data.points": "100000", "data.trajectories": "200000,1,1", "data.dt": "1000"},
    ("data.snapshots", "1000000"): {"data.trajectories": "10000000,1,1", "data.spin_up": "0", "data.dt": "1000"},
}
"""Options that let another limit pass."""
NAMES = [name for name in catalog.names() if catalog.load(name).task is not None]


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_is_anywhere_near_a_limit(name):
    for preset in catalog.load(name).presets.values():
        check_cost(preset)


@pytest.mark.parametrize(
    ("option", "value", "estimate"),
    [
        ("data.dt", "1e-30", "solver steps"),
        ("data.spin_up", "1e30", "1e+31 solver steps"),
        ("data.stride", "1e300", "solver steps"),
        ("data.trajectories", "2000000000,64,256", "GB of training fields"),
        ("data.chunk", "1000000000000", "GB of memory"),
        ("data.snapshots", "1000000", "GB of training fields"),
        ("data.snapshots", "1e7", "at most 1000000"),
        ("compare.refine", "0,1e30", "1e+31 solver steps"),
        ("compare.seed", str(2**63), "at most 4294967295"),
        ("data.seed", str(2**32), "at most 4294967295"),
        ("compare.draws", "1e15", "at most"),
        ("network.blocks", "100000", "at most 100"),
        ("network.width", "1e9", "at most"),
        ("training.steps", "1e18", "at most"),
    ],
)
def test_what_is_far_too_much_is_one_sentence_with_estimate_and_option(option, value, estimate):
    experiment = catalog.load("kuramoto_sivashinsky")
    # Only checked: a case that is not refused must not be made either.
    with pytest.raises(UserError) as caught:
        check_cost(experiment.presets["smoke"].with_overrides({**MORE.get((option, value), {}), option: value}))
    assert f"--{option}" in str(caught.value) and estimate in str(caught.value)


def test_an_endless_refinement_of_samples_is_refused():
    smoke = catalog.load("kuramoto_sivashinsky").presets["smoke"]
    check_refinement("refine", 1000.0, smoke)
    with pytest.raises(UserError, match=r"refine 1e\+30 takes 1e\+31 solver steps"):
        check_refinement("refine", 1e30, smoke)
