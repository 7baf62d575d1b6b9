"""What the pages show works: code runs, commands parse, links lead somewhere, and no public name is left out."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import jax
import pytest
import yaml

import experiments
import gan
import physics
from experiments import catalog, export, new_experiment, pipeline, plots, report, runs
from experiments.cli.parsers import parsers
from experiments.cli.settings import chosen_preset, known_options, read_overrides
from experiments.evaluation import results_file
from experiments.options import settings
from experiments.progress import Progress
from experiments.sweeps.grid import points_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: (.*?) -->\s*\Z", re.DOTALL)
WINGS = {"physics": physics, "gan": gan, "experiments": experiments}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[int, str, str | None]]:
    """The Python blocks of a page: number of the line before, code, and why it is not run, if that is said."""
    text, found = page.read_text(), []
    for match in FENCE.finditer(text):
        if match[1] == "python":
            reason = NOT_RUN.search(text[: match.start()])
            found.append((text[: match.start(2)].count("\n"), match[2], reason[1] if reason else None))
    return found


WITH_CODE = [page for page in PAGES if blocks(page)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs as the pages name them, ``runs/NAME/STAMP``, trained by the smallest preset and not compared yet."""
    parent = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOLVERGAN_CACHE", str(parent / "cache"))
    silent = Progress(silent=True)
    # Pages draw samples, whatever their quality: what takes long to compile in a training is left out.
    plain = {"training.steps": "10", "training.devices": "1", "game.r1": "0", "game.r2": "0"}
    own = {
        "kuramoto_sivashinsky": {"solver_layer.tau": "0"},
        "burgers": {"game.ensemble_weight": "0", "system.terms": "none"},
        "burgers_inverse": {"system.observations": "8"},
    }
    with jax.enable_x64(False):
        for name, less in own.items():
            experiment = catalog.load(name)
            config = experiment.presets["smoke"].with_overrides(plain | less)
            folder = runs.create(parent / "runs", name, "smoke", config)
            dataset = pipeline.make_data(experiment, config, folder, silent)
            gan.train(experiment.learnt().problem(config, dataset), config, folder.path)
            folder.path.rename(folder.path.with_name("STAMP"))
    yield parent / "runs"
    patch.undo()


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page, trained, plausible, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "runs")
    # What was found is made of numbers: a comparison takes long, and no page shows more than how it is read.
    for folder in Path("runs").glob("*/*"):
        results_file.write(plausible.compared(), folder / "comparison.json")
    names = {"__name__": page.stem}
    for line, code, reason in blocks(page):
        if reason is None:
            exec(compile("\n" * line + code, str(page), "exec"), names)


def test_a_block_that_is_not_run_says_why():
    marked = [reason for page in PAGES for reason in re.findall(r"<!-- not run(.*?)-->", page.read_text(), re.DOTALL)]
    assert all(re.fullmatch(r": \S.*\S ", reason, re.DOTALL) for reason in marked)
    assert len(marked) == sum(reason is not None for page in PAGES for *_, reason in blocks(page))


def commands(page: Path) -> list[str]:
    """Every command line of a page: in blocks for a shell, and within lines."""
    text = page.read_text()
    shell = [line for match in FENCE.finditer(text) if match[1] in ("", "sh") for line in match[2].splitlines()]
    within = re.findall(r"`([^`]+)`", FENCE.sub("", text))
    lines = [" ".join(line.split()) for line in [*shell, *within]]
    return [line for line in lines if re.match(r"(python -m experiments|solvergan) \S", line)]


COMMANDS = [pytest.param(line, id=f"{page.name}: {line}") for page in PAGES for line in dict.fromkeys(commands(page))]


def stands_for_something(word: str) -> bool:
    """Whether a word is a place to fill in, such as NAME or FILE.py."""
    return word.removesuffix(".py").isupper()


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_a_page_shows_is_one(line):
    words = shlex.split(line, comments=True)
    words = [word for word in words[3 if words[0] == "python" else 1 :] if word != "--help"]
    parser, known = parsers()
    arguments, rest = parser.parse_known_args(words)
    assert arguments.command in known
    if arguments.command in ("run", "train-on"):
        name = "own_data" if arguments.command == "train-on" else arguments.name
        own = name.endswith(".py") or stands_for_something(name)
        experiment = catalog.load("kuramoto_sivashinsky" if own else name)
        preset = experiment.presets[chosen_preset(experiment, arguments.preset)]
        given = read_overrides(rest, known_options(preset, known[arguments.command]))
        preset.with_overrides({key: value for key, value in given.items() if not stands_for_something(value)})
    elif arguments.command == "sweep" and not stands_for_something(arguments.name):
        preset = catalog.load(arguments.name).presets[arguments.preset or "demo"]
        assert rest == [] and points_of(preset, {}, arguments.grid)
    else:
        assert rest == []
    if arguments.command == "new":
        assert stands_for_something(arguments.system) or arguments.system in new_experiment.systems()
        assert arguments.task in new_experiment.TASKS or stands_for_something(arguments.task)
    if arguments.command == "sample" and not stands_for_something(arguments.out):
        export.writer_for(Path(arguments.out))


def test_pages_show_commands():
    assert len(COMMANDS) > 30


def test_every_setting_that_a_page_names_exists():
    presets = [one for name in catalog.names() for one in catalog.load(name).presets.values()]
    there = {f"--{name}" for preset in presets for name, *_ in settings(preset)}
    there |= {f"{name.partition('.')[0]}.*" for name in there}
    plain = {one for known in parsers()[1].values() for action in known._actions for one in action.option_strings}
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        named = re.findall(r"`(--[a-z_]+\.(?:[a-z0-9_]+|\*))", text)
        assert {one for one in named if one != "--section.key"} <= there, name_of(page)
        assert set(re.findall(r"`(--[a-z-]+)(?=[ `])", text)) <= plain, name_of(page)


def slugs(page: Path) -> set[str]:
    """The anchors of a page: its headings, and what the reference documents."""
    text, found = page.read_text(), set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-{sum(one.startswith(slug) for one in found)}")
    return found | set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "notebooks").glob("*.py"))], ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        path, _, anchor = unquote(target).partition("#")
        if "://" in path:
            continue
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), target
        assert to.is_relative_to(ROOT), target
        assert not anchor or anchor in slugs(to), target


def test_the_site_leads_to_every_page():
    def listed(entry):
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        return [one for part in parts for one in listed(part)]

    nav = listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    notebooks = {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    # README is the first page.
    assert len(nav) == len(set(nav))
    assert set(nav) == pages | notebooks | {"index.md"}


@pytest.mark.parametrize("wing", WINGS)
def test_every_public_name_is_on_its_reference_page(wing):
    page = (DOCS / "reference" / f"{wing}.md").read_text()
    documented = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    assert len(documented) == len(set(documented))
    found = {}
    for one in documented:
        module, _, name = one.rpartition(".")
        found.setdefault(name, []).append(getattr(importlib.import_module(module), name))
    for name in WINGS[wing].__all__:
        assert any(one is getattr(WINGS[wing], name) for one in found.get(name, ())), name


@pytest.fixture
def system_tasks(monkeypatch):
    """The module ``benchmarks/system_tasks.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import system_tasks

    return system_tasks


def test_the_table_of_pairs_is_that_of_the_code(system_tasks):
    page = (DOCS / "own_experiment.md").read_text()
    assert system_tasks.filled(page) == page
    assert system_tasks.filled(page.replace("| runs |", "| **studied** |", 1)) == page
    snapshots = {("KuramotoSivashinsky", "snapshot"), ("NavierStokes2D", "snapshot")}
    posteriors = {(name, "posterior") for name in ("Burgers", "KuramotoSivashinsky", "Lorenz96")}
    fine = {(name, "super_resolution") for name in ("NavierStokes2D", "SmokePlume")}
    assert set(system_tasks.studied()) == {*snapshots, *posteriors, *fine, ("Burgers", "forecast")}


def test_a_pair_is_one_for_which_new_writes_a_file(system_tasks):
    there_are = set(new_experiment.pairs())
    for system in new_experiment.systems():
        for task in new_experiment.TASKS:
            try:
                written = bool(new_experiment.source("mine", system, task))
            except experiments.errors.UserError:
                written = False
            assert written is ((system, task) in there_are), (system, task)


def test_every_section_of_a_report_is_explained(finished_run, monkeypatch):
    # Pictures take seconds to draw, and say nothing of titles.
    monkeypatch.setattr(plots.Picture, "data_uri", lambda picture: "data:,")
    page = (DOCS / "reading_a_report.md").read_text()
    explained = re.findall(r"^## (.*)$", page, re.MULTILINE)
    shown = re.findall(r"<h2>(.*?)</h2>", report.build(runs.open_folder(finished_run)))
    assert len(shown) > 12
    assert set(explained) == {"The head", *shown}


def test_every_experiment_and_task_has_a_section():
    named = slugs(DOCS / "experiments.md")
    assert set(catalog.names()) <= named
    tasks = {catalog.load(name).kind for name in catalog.names()} - {"study"}
    assert {task.replace("_", "-") for task in tasks} <= slugs(DOCS / "tasks.md")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="the extra docs is not installed")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").exists()
