"""Posterior estimators of the package sbi, run by its own interpreter for `neural_posteriors.py`.

Needs sbi alone, not this project:

    python -m venv sbi-venv
    sbi-venv/bin/pip install sbi==0.27.0

    python sbi_posteriors.py given.npz made.npz

``given.npz`` holds ``plan``, text in JSON, whose entry ``do`` says what is done:

    train    one estimator for a number of seconds of processor time; then samples, densities and the loss that a
             validation set has
    time     seconds of processor time for the samples of trained estimators
    c2st     sbi's classifier two-sample test of ensembles against those of a reference, case by case

``train`` reads ``theta`` (n, d), ``x`` (n, m), both also as ``validation/...``, and ``observed`` (cases, m) with
``true`` (cases, d); its plan has ``kind`` (npe, fmpe, npse), ``settings``, ``seconds``, ``seed``, ``members`` and
``model``, the file that the estimator is written to. Estimator, loss, gradient clipping and sampling are sbi's. The
loop over batches is ours, since sbi's has no limit in seconds: Adam, and a step size that is constant, as in sbi, or
falls by a cosine over the seconds.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sbi
import torch
from sbi.inference.posteriors import DirectPosterior, VectorFieldPosterior
from sbi.neural_nets import posterior_flow_nn, posterior_nn, posterior_score_nn
from sbi.utils.metrics import c2st

BUILDERS: dict[str, Callable[..., Any]] = {"npe": posterior_nn, "fmpe": posterior_flow_nn, "npse": posterior_score_nn}
CLIP = 5.0
"""Largest norm of a gradient, sbi's default."""
FINAL_RATE = 0.02
STANDARDISED = 10_000
"""Samples from which sbi takes means and standard deviations."""
REPEATS = 8
"""Times and noises at which a regression's loss of the validation set is taken."""
STEPS = 40
"""Runge-Kutta steps for the density of a velocity field."""


def load(path: str) -> tuple[Any, str]:
    """Return a trained estimator and its kind."""
    stored = torch.load(path, weights_only=False)
    return stored["estimator"], stored["kind"]


def trained(
    kind: str, settings: dict[str, Any], theta: torch.Tensor, x: torch.Tensor, seconds: float, seed: int
) -> tuple[Any, dict[str, Any]]:
    """Train an estimator; return it, with the updates made and the seconds of processor time spent."""
    settings = dict(settings)
    batch, rate, schedule = settings.pop("batch"), settings.pop("rate"), settings.pop("schedule")
    torch.manual_seed(seed)
    estimator = BUILDERS[kind](**settings)(theta[:STANDARDISED], x[:STANDARDISED])
    optimizer = torch.optim.Adam(estimator.parameters(), lr=rate)
    order, place, updates = torch.randperm(len(theta)), 0, 0
    began = time.process_time()
    while (share := (time.process_time() - began) / seconds) < 1:
        if schedule == "cosine":
            falling = 0.5 * (1 + math.cos(math.pi * share))
            optimizer.param_groups[0]["lr"] = rate * (FINAL_RATE + (1 - FINAL_RATE) * falling)
        if place + batch > len(theta):
            order, place = torch.randperm(len(theta)), 0
        rows = order[place : place + batch]
        place += batch
        optimizer.zero_grad()
        loss = estimator.loss(theta[rows], x[rows]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(estimator.parameters(), CLIP)
        optimizer.step()
        updates += 1
    spent = time.process_time() - began
    parameters = sum(one.numel() for one in estimator.parameters())
    return estimator.eval(), {"updates": updates, "seconds": spent, "parameters": parameters}


def validation_loss(estimator: Any, kind: str, theta: torch.Tensor, x: torch.Tensor) -> float:
    """Return the mean loss of a validation set; of a regression, the mean over several times and noises."""
    torch.manual_seed(0)
    with torch.no_grad():
        found = [estimator.loss(theta, x).mean().item() for _ in range(1 if kind == "npe" else REPEATS)]
    return float(np.mean(found))


def drawn(estimator: Any, kind: str, observed: torch.Tensor, members: int) -> torch.Tensor:
    """Return samples (cases, members, d) as sbi's posterior object draws them by default."""
    size = estimator.input_shape[0]
    prior = torch.distributions.MultivariateNormal(torch.zeros(size), torch.eye(size))
    if kind == "npe":
        posterior = DirectPosterior(estimator, prior)
    else:
        posterior = VectorFieldPosterior(estimator, prior, sample_with="ode" if kind == "fmpe" else "sde")
    made = posterior.sample_batched((members,), x=observed, show_progress_bars=False)
    return made.transpose(0, 1).detach()


def log_densities(estimator: Any, kind: str, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
    """Return the logarithms (n,) of the densities of theta (n, d) given x (n, m); None for a score.

    Of a velocity field by the classical Runge-Kutta method, from data (time 0) to noise (time 1), with the exact
    divergence.
    """
    if kind == "npe":
        with torch.no_grad():
            return estimator.log_prob(theta[None], x)[0]
    if kind != "fmpe":
        return None

    def velocity(state: torch.Tensor, time: float) -> tuple[torch.Tensor, torch.Tensor]:
        state = state.detach().requires_grad_()
        value = estimator.ode_fn(state, x, torch.full((len(state),), time))
        rows = [
            torch.autograd.grad(value[:, i].sum(), state, retain_graph=True)[0][:, i] for i in range(state.shape[1])
        ]
        return value.detach(), torch.stack(rows).sum(dim=0)

    state, volume, step = theta, torch.zeros(len(theta)), 1.0 / STEPS
    for index in range(STEPS):
        time = index * step
        one, d_one = velocity(state, time)
        two, d_two = velocity(state + 0.5 * step * one, time + 0.5 * step)
        three, d_three = velocity(state + 0.5 * step * two, time + 0.5 * step)
        four, d_four = velocity(state + step * three, time + step)
        state = state + step / 6 * (one + 2 * two + 2 * three + four)
        volume = volume + step / 6 * (d_one + 2 * d_two + 2 * d_three + d_four)
    normal = -0.5 * (state**2).sum(dim=1) - 0.5 * state.shape[1] * math.log(2 * math.pi)
    return normal + volume


def train(plan: dict[str, Any], given: Any) -> dict[str, Any]:
    """Train one estimator and draw from it."""
    arrays = {name: torch.as_tensor(given[name]) for name in given.files if name != "plan"}
    kind = plan["kind"]
    estimator, about = trained(
        kind, plan["settings"], arrays["theta"], arrays["x"], float(plan["seconds"]), int(plan["seed"])
    )
    about["validation_loss"] = validation_loss(estimator, kind, arrays["validation/theta"], arrays["validation/x"])
    found: dict[str, Any] = {}
    if plan["members"]:
        torch.save({"estimator": estimator, "kind": kind}, plan["model"])
        observed, cases = arrays["observed"], plan["cases"]
        torch.manual_seed(plan["seed"])
        samples = drawn(estimator, kind, observed[:cases], plan["members"])
        found["samples"] = samples.numpy()
        density = log_densities(estimator, kind, arrays["true"], observed)
        if density is not None:
            found["log_density_true"] = density.numpy()
        if kind == "npe":
            rows = observed[:cases].repeat_interleave(plan["members"], dim=0)
            of_samples = log_densities(estimator, kind, samples.reshape(len(rows), -1), rows)
            assert of_samples is not None
            found["log_density"] = of_samples.reshape(samples.shape[:2]).numpy()
    return {"about": json.dumps(about), **found}


def measure(plan: dict[str, Any], given: Any) -> dict[str, Any]:
    """Time samples of trained estimators: processor seconds for one of them."""
    observed, taken = torch.as_tensor(given["observed"]), {}
    for name, path in plan["models"].items():
        estimator, kind = load(path)
        drawn(estimator, kind, observed[:1], 4)
        began = time.process_time()
        drawn(estimator, kind, observed, plan["members"])
        taken[name] = (time.process_time() - began) / (len(observed) * plan["members"])
    return {"seconds": json.dumps(taken)}


def tested(plan: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return the accuracy (cases,) of sbi's test, a random forest by five-fold cross-validation, for every ensemble."""
    reference = torch.as_tensor(given["reference"])
    found = {}
    for name in given.files:
        if name not in ("plan", "reference"):
            pairs = zip(reference, torch.as_tensor(given[name]))
            found[name] = np.array([float(c2st(one, two, seed=1)) for one, two in pairs])
    return found


def main(given_path: str, made_path: str) -> None:
    """Do what the plan says."""
    torch.set_num_threads(1)
    with np.load(given_path, allow_pickle=False) as given:
        plan = json.loads(str(given["plan"]))
        found = {"train": train, "time": measure, "c2st": tested}[plan["do"]](plan, given)
    versions = {"sbi": sbi.__version__, "torch": torch.__version__}
    np.savez(made_path, versions=json.dumps(versions), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
