"""The report: one page that needs nothing but itself, and says what the comparison found."""

import dataclasses
import json
import re

import numpy as np
import pytest

from experiments import files, plots, report, runs
from experiments.evaluation import entries, results, results_file, verdict
from experiments.plots.course import NOT_DRAWN
from experiments.plots.style import DIVERGING, scale_of
from experiments.report import pieces
from experiments.wording import words


def test_the_page_needs_nothing_from_elsewhere(finished_run):
    page = report.write(runs.open_folder(finished_run)).read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    assert page.count("<img") > 15
    assert 'name="viewport"' in page and "@media print" in page
    assert (finished_run / "preview.png").read_bytes().startswith(b"\x89PNG")


def page_of(path, comparison):
    """The page of a run whose comparison is this one."""
    results_file.write(comparison, path / "comparison.json")
    return report.build(runs.open_folder(path))


def section_of(page, title):
    """The markup of one section."""
    return page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def cells_of(section, name):
    """Texts of the cells of the row with this name."""
    row = re.search(rf"<tr[^>]*><td[^>]*>{re.escape(name)}</td>(.*?)</tr>", section)[1]
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]


TITLES = {
    results.Tests: "Tests", results.Distances: "Distances", results.Scores: "Scores",
    results.Refinement: "Refinement", results.Cost: "Cost", results.Worth: "Worth in solver fields",
    results.Planning: "A planned study",
    results.Baselines: "Baselines", results.Regions: "Outside the range of training", results.Orbits: "Orbits",
    results.FieldPictures: "Fields", results.Statistics: "Statistics", results.Forecasts: "Ensembles",
    results.ModeShares: "Modes", results.ImportanceWeights: "Importance weights",
    results.AgainstTruth: "Against the truth", results.Recoveries: "Known truths",
}  # fmt: skip


def test_every_kind_of_section_has_a_renderer_and_the_page_their_order(finished_run, plausible, quick):
    assert report.RENDERERS.keys() == set(results_file.KINDS.values())
    for comparison in (plausible.compared(), plausible.compared(sections=plausible.sections()[::-1])):
        shown = re.findall("<h2>([^<]*)</h2>", page_of(finished_run, comparison))
        assert shown == [*(TITLES[type(one)] for one in comparison.sections), "Training", "To repeat it"]


@pytest.mark.parametrize("kind", results_file.KINDS.values(), ids=results_file.KINDS)
def test_a_section_is_shown_without_any_other_and_without_figures(kind, finished_run, plausible, quick):
    for name in ("figures.npz", "metrics.jsonl"):
        (finished_run / name).unlink()
    alone = [one for one in plausible.sections() if isinstance(one, kind)]
    assert "</html>" in page_of(finished_run, plausible.compared(sections=tuple(alone)))


def spoiled(value):
    """The same with no number known: what the file holds where a number was not finite."""
    if isinstance(value, dict):
        return {key: spoiled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [spoiled(one) for one in value]
    return None if isinstance(value, float) else value


@pytest.mark.parametrize("key", results_file.KINDS)
def test_numbers_that_are_not_finite_leave_gaps_and_no_traceback(key, finished_run, plausible, quick):
    for name in ("figures.npz", "metrics.jsonl"):
        (finished_run / name).unlink()
    alone = [one for one in plausible.sections() if isinstance(one, results_file.KINDS[key])]
    content = json.loads(json.dumps(results_file.to_plain(plausible.compared(sections=tuple(alone)))))
    files.write_json(finished_run / "comparison.json", {**content, key: spoiled(content[key])})
    assert "</html>" in report.build(runs.open_folder(finished_run))


def test_the_joint_test_leads_and_says_in_words_what_it_found(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Tests")
    assert "<b>are distinguished</b> from held-out solver fields" in section and "<b>p = 0.0002</b>" in section
    assert cells_of(section, "classifier on physical features") == [
        "area under the ROC curve", "0.760", "0.750 to 0.770", "0.488 to 0.512", "0.0002", "0.520"
    ]  # fmt: skip
    assert cells_of(section, "nearest neighbours")[2] == "–"
    assert cells_of(section, "variance of u") == ["-0.400%", "0.800%"]
    other = page_of(finished_run, plausible.compared(plausible.tests(p_value=0.3, bounds=())))
    assert "<b>not distinguished</b>" in other and "Equivalence bounds" not in other


def test_every_member_of_the_joint_test_is_drawn_with_its_band(plausible):
    (picture,) = plots.tests(plausible.tests())
    axes, members = picture.figure.axes, plausible.tests().entries
    names = [tick.get_text() for one in axes for tick in one.get_yticklabels()]
    assert sorted(names) == sorted(name.replace("_", " ") for name in members)
    bands = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for one in axes for bar in one.patches)
    expected = [one.null if one.interval is not None else (-1.0, 1.0) for one in members.values()]
    np.testing.assert_allclose(bands, sorted(expected))
    assert plots.tests(plausible.tests(entries={})) == []


def test_what_an_entry_says_of_itself_is_in_the_page(finished_run, plausible, words_alone):
    page = page_of(finished_run, plausible.compared())
    for meaning in ("c1", "what spectrum measures", "share nearer to the training fields"):
        assert f"</b>: {meaning}</li>" in page


def test_every_distance_says_in_words_whether_it_is_inside_the_null_band(finished_run, plausible, words_alone):
    page = page_of(finished_run, plausible.compared())
    assert cells_of(section_of(page, "Distances"), "spectrum")[3:] == ["1.90", "1.52 to 2.28", "▲ outside"]
    assert cells_of(section_of(page, "Distances"), "marginals")[-1] == "○ inside"
    assert cells_of(section_of(page, "Scores"), "memorization")[-1] == "▲ outside"


def test_the_sets_of_a_distance_and_its_level_are_those_of_the_section(finished_run, plausible, words_alone):
    changed = plausible.distances(between="32 members", against="halves", reference="exact samples", level=0.01)
    section = section_of(page_of(finished_run, plausible.compared(changed)), "Distances")
    for text in ("between 32 members", "of halves over 600 draws", "from exact samples, at the 1% level"):
        assert text in section


def test_losing_is_said_as_plainly_as_winning(finished_run, plausible, words_alone):
    assert "pays off from about <b>450,000</b> samples" in page_of(finished_run, plausible.compared())
    slow = plausible.cost(generator=entries.Timing(1.0, 1.0, 1.0, 1))
    section = section_of(page_of(finished_run, plausible.compared(slow)), "Cost")
    assert "<b>never pays off</b>" in section and "times dearer" in section


def test_a_cost_has_its_spread(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Cost")
    assert cells_of(section, "generator, solver layer included") == ["210 µs (200 µs to 240 µs)"]
    assert cells_of(section, "cheapest solver as good (points 32, dt 0.1)") == ["1.00 ms (900 µs to 1.10 ms)"]


def test_a_setting_that_failed_stays_in_the_search_with_its_reason(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Cost")
    assert "The search, 7 solver settings" in section and section.count("<td>0.2</td>") == 2
    assert "failed: the solver&#x27;s fields are not finite" in section


def test_without_a_search_no_strongest_solver_is_claimed(finished_run, plausible, words_alone):
    page = page_of(finished_run, plausible.compared(plausible.cost(search=())))
    assert "strongest" not in section_of(page, "Cost") and "nothing cheaper was searched" in page


def test_the_worth_draws_the_level_of_the_generator_and_marks_the_training_fields(plausible):
    worth = next(one for one in plausible.sections() if isinstance(one, results.Worth))
    (picture,) = plots.worth(worth)
    drawn = {line.get_label(): np.array(line.get_data()) for line in picture.figure.axes[0].lines}
    np.testing.assert_allclose(drawn["fresh solver fields"], [worth.count, worth.value])
    assert set(drawn["100,000 generated fields"][1]) == {worth.generator}
    assert set(drawn["2,048 training fields"][0]) == {2048}


def test_every_start_has_a_row_with_its_entry_and_its_areas(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Refinement")
    auc = plausible.refinement().curves["generator"].auc
    assert cells_of(section, "generator")[0] == "8"
    assert [cell[:5] for cell in cells_of(section, "generator")[1:3]] == [f"{auc[0]:.3f}", f"{auc[-1]:.3f}"]
    assert cells_of(section, "system&#x27;s own initial condition")[0] == "not by 64"
    assert "24 against “Gaussian field, same spectrum”" in section


def test_curves_without_areas_or_p_values_have_no_panel_for_them(plausible):
    full = plausible.refinement()

    def without(*names):
        curves = {key: dataclasses.replace(one, **dict.fromkeys(names, ())) for key, one in full.curves.items()}
        return plots.refined_tests(dataclasses.replace(full, curves=curves), plausible.compared())

    assert [len(one.figure.axes) for one in without()] == [2]
    assert [len(one.figure.axes) for one in without("auc", "auc_interval")] == [1]
    assert [len(one.figure.axes) for one in without("p_value")] == [1]
    assert without("auc", "auc_interval", "p_value") == []


def test_a_start_is_marked_where_the_joint_test_tells_it_no_more_and_nowhere_else(plausible):
    (picture,) = plots.refined_tests(plausible.refinement(), plausible.compared())
    for axes in picture.figure.axes:
        rings = [float(np.ravel(line.get_xdata())[0]) for line in axes.lines if line.get_markersize() > 10]
        assert sorted(rings) == [8.0, 16.0, 32.0]


def test_starts_that_nobody_foresaw_have_looks_of_their_own(plausible):
    section = plausible.refinement()
    extra = {f"start_{i}": dataclasses.replace(section.curves["bank"], label=f"start {i}") for i in range(3)}
    looks = plots.looks(dataclasses.replace(section, curves={**section.curves, **extra}))
    assert len({(look.colour, str(look.line), look.marker) for look in looks.values()}) == 7
    assert [look.label for look in looks.values()][-1] == "start 2"


def test_every_distance_that_was_followed_has_a_picture(plausible):
    pictures = plots.refined_distances(plausible.refinement(), plausible.compared())
    assert [one.title for one in pictures] == ["spectrum", "marginals"]
    assert all(len(one.figure.axes[0].lines) == 4 for one in pictures)


def test_baselines_stand_below_the_generator_and_failed_ones_say_why(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Baselines")
    assert cells_of(section, "generator")[:3] == ["0.760", "1.90", "1"]
    assert cells_of(section, "training fields")[:3] == ["–", "1.00", "–"]
    assert cells_of(section, "flow matching")[-1] == "the loss was not finite"
    assert "drawn from the training fields</li>" in section


def test_orbits_that_were_refused_say_so(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Orbits")
    assert cells_of(section, "competitive")[-1] == "refused: needs plain steps"
    assert cells_of(section, "alternating")[2] == "1.00 ± 0.100i"


def test_alarms_and_the_size_of_the_networks_are_in_the_report(finished_run, quick):
    folder = runs.open_folder(finished_run)
    assert "<li>Step" not in report.build(folder)
    with folder.metrics_file.open("a") as record:
        record.write(json.dumps({"step": 10**6, "alarms": ["a <gradient> is 100 times its usual size"]}) + "\n")
    files.write_json(folder.networks_file, {"generator": {"parameters": 1234, "flops": 5.0e6}})
    page = report.build(folder)
    assert "<li>Step 1&#8239;000&#8239;000: a &lt;gradient&gt; is 100 times its usual size.</li>" in page
    assert "parameters: 1234" in page


def drawn(metrics):
    """Labels of all curves and rows of layers, as the reader sees them."""
    curves = [line.get_label() for one in plots.training(metrics) for line in one.figure.axes[0].lines]
    rows = []
    for one in plots.layers(metrics):
        player = "discriminator" if "discriminator" in one.caption else "generator"
        rows += [f"layer, {player}, {tick.get_text()}" for tick in one.figure.axes[0].get_yticklabels()]
    return curves + [row.replace("/", ", ") for row in rows]


def test_every_number_that_a_training_records_is_drawn_once_or_named_as_not_drawn(record):
    # Tiny players refuse no sample, and that is not drawn.
    lines = [{**line, "invalid": 0.1} for line in record]
    names = {name for line in lines for name, value in line.items() if isinstance(value, float | int)}
    assert names > {
        "discriminator_r1", "discriminator_gradient_penalty", "discriminator_augment", "generator_transport",
        "generator_power", "generator_ensemble", "inner_iterations", "inner_residual", "rotation", "modes_found",
        "layers_smallest_generator", "layer/discriminator/chain/layers/0/kernel", "validation", *NOT_DRAWN,
    }  # fmt: skip
    assert sorted(drawn(lines)) == sorted(words(name) for name in names - {*NOT_DRAWN})


def test_what_nobody_foresaw_has_a_picture_and_the_seventh_curve_is_drawn():
    rows = [{"step": s, "surprise": 2.0, **{f"gradient_{i}": 1.0 + i for i in range(8)}} for s in range(3)]
    assert [one.title for one in plots.training(rows)] == ["Gradient norms", "Gradient norms", "Surprise"]
    assert sorted(drawn(rows)) == [*(f"gradient {i}" for i in range(8)), "surprise"]


def test_the_metrics_of_this_suite_have_names_that_a_training_writes(finished_run, record):
    assert set(runs.open_folder(finished_run).metrics()[-1]) <= set(record[-1])


def test_diagnoses_have_pictures_of_their_own():
    rows = [
        {"step": s, "rotation": 0.5, "layers_smallest_generator": 0.1, "layer/generator/a/kernel": 0.1, "coverage": 0.9}
        for s in range(1, 4)
    ]
    assert [one.title for one in plots.training(rows)] == ["Variety", "Rotation", "Layers"]
    (image,) = plots.layers(rows)
    assert image.figure.axes[0].images[0].get_array().shape == (1, 3)


def test_what_lies_outside_the_range_of_training_has_tables_of_its_own(finished_run, plausible, words_alone):
    section = section_of(page_of(finished_run, plausible.compared()), "Outside the range of training")
    assert "within the range of training, viscosity 0.1 to 0.5." in section
    assert "<h3>viscosity 0.8</h3>" in section
    assert cells_of(section, "energy divergence") == ["2.00", "0.500", "0.600", "4.00", "3.50 to 4.50", "▲ outside"]
    assert cells_of(section, "CRPS (std)") == ["0.321", "0.220", "0.200 to 0.240", "▲ outside"]


def test_lines_of_the_record_that_make_no_sense_are_not_drawn(finished_run, quick):
    with (finished_run / "metrics.jsonl").open("a") as record:
        for row in (
            {"step": 10**6, "seconds": None, "alarms": 3, "generator_loss": "low", "tau": [1]},
            {"step": 10**6 + 1, "layer/generator/a": "x", "layer/generator/b": 0.5, "generator_loss": 10**400},
        ):
            record.write(json.dumps(row) + "\n")
    assert "</html>" in report.build(runs.open_folder(finished_run))


def test_a_run_without_comparison_or_metrics_still_has_a_page_with_the_next_command(run_path, quick):
    page = report.write(runs.open_folder(run_path)).read_text()
    assert "has not been compared" in page
    assert f"--resume {run_path}" in page
    assert not (run_path / "preview.png").exists()


def poisoned(value, names):
    """The same with markup in every text and every name that somebody chose."""
    evil = "<b>x</b> & <script>"
    if isinstance(value, dict):
        return {f"{key}{evil}" if key in names else key: poisoned(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(one, names) for one in value]
    return evil if isinstance(value, str) else value


def test_text_from_the_run_folder_cannot_become_markup(finished_run, plausible, quick):
    names = {*plausible.distances().entries, *plausible.tests().entries, *plausible.refinement().curves, "points"}
    names -= {"generator"}  # a field of its own in other sections
    (finished_run / "comparison.json").write_text(
        json.dumps(poisoned(results_file.to_plain(plausible.compared()), names))
    )
    page = report.build(runs.open_folder(finished_run))
    assert "<script" not in page and "<b>x</b>" not in page
    assert page.count("&lt;b&gt;x&lt;/b&gt; &amp; &lt;script&gt;") > 30


def test_the_page_is_the_same_when_written_again(finished_run, plausible):
    figures = runs.open_folder(finished_run).figures()
    first, second = (plots.spectrum(figures, plausible.compared())[0].data_uri() for _ in range(2))
    assert first == second


def test_fields_share_the_scale_of_the_solver(finished_run, plausible):
    figures = runs.open_folder(finished_run).figures()
    figures["evolution/generator"] = 3 * figures["evolution/generator"]
    picture = plots.evolution(figures, plausible.compared())[0]
    limits = {image.get_clim() for axes in picture.figure.axes for image in axes.images}
    assert len(limits) == 1
    (low, high), solver = limits.pop(), figures["evolution/solver"]
    assert low == -high
    assert high == pytest.approx(np.quantile(np.abs(solver), 0.999), rel=0.1)


def test_the_colour_map_is_even_in_lightness_and_symmetric_about_zero():
    rgb = DIVERGING(np.arange(257))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    assert np.all(np.diff(lightness[:129]) > 0) and np.all(np.diff(lightness[128:]) < 0)
    assert np.abs(lightness - lightness[::-1]).max() < 3
    steps = np.abs(np.diff(lightness))
    assert steps.max() < 1.6 * np.median(steps)


def test_fields_of_one_sign_get_a_sequential_map():
    assert scale_of(np.linspace(1, 2, 100))[0].name == "cividis"
    assert scale_of(np.linspace(-1, 2, 100))[0] is DIVERGING


def test_a_forecast_draws_its_cases_and_ranks(forecast_arrays, plausible):
    pictures = plots.forecasts(forecast_arrays, plausible.compared(), cases=2)
    assert len(pictures) == 2
    assert pictures[0].data_uri().startswith("data:image/svg+xml;base64,")
    assert len(plots.rank_histogram(forecast_arrays)) == 1
    assert plots.forecasts({}, plausible.compared()) == [] == plots.rank_histogram({})


def test_two_dimensional_fields_are_drawn_as_images(plausible):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 12, endpoint=False)
    figures = {"coordinates/0": x, "coordinates/1": x}
    for side in ("generator", "solver"):
        figures[f"samples/{side}"] = rng.normal(size=(4, 12, 12, 1))
        figures[f"evolution/{side}"] = rng.normal(size=(6, 12, 12, 1))
    figures["evolution/times"] = np.arange(6.0)
    comparison = plausible.compared(channels=("vorticity",), units={"vorticity": "1/s"})
    (samples,), (evolution,) = plots.samples(figures, comparison), plots.evolution(figures, comparison)
    assert "vorticity (1/s)" in samples.caption
    assert evolution.data_uri().startswith("data:image/png;base64,")


def test_metrics_are_grouped_whatever_else_is_logged():
    rows = [
        {
            "step": s,
            "generator_loss": 1.0 / (s + 1),
            "gradient_generator": 0.1,
            "tau": 0.5 * s,
            "invalid": 0.0,
        }
        for s in range(5)
    ]
    assert [one.title for one in plots.training(rows)] == ["Losses", "Gradient norms", "Solver-layer time"]
    assert plots.training([]) == [] == plots.training([{"message": "none"}])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.01, "0.0100"),
        (1.0, "1.00"),
        (210.4, "210"),
        (448750, "448&#8239;750"),
        (float("nan"), "–"),
        (3e-9, "3.00&#8239;×&#8239;10<sup>-9</sup>"),
    ],
)
def test_numbers_have_three_digits_and_counts_all_of_them(value, text):
    assert pieces.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.1e-4, "210 µs"), (0.0042, "4.20 ms"), (41.0, "41.0 s"), (318.0, "318 s"), (900.0, "15.0 min"), (None, "–")],
)
def test_durations_have_a_unit_that_suits_them(value, text):
    assert pieces.seconds(value) == text


def test_damaged_figures_say_how_to_write_them_again(finished_run):
    (finished_run / "figures.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match=r"compare .* writes it again"):
        report.write(runs.open_folder(finished_run))


def test_a_comparison_that_is_no_json_is_reported(finished_run):
    (finished_run / "comparison.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        report.write(runs.open_folder(finished_run))


def test_known_truths_are_a_row_for_each_method_and_the_verdict_names_the_best_rival(finished_run, plausible, quick):
    known = plausible.recoveries()
    # A method without intervals has no coverage.
    (found,) = known.rows["prior"].parameters.items()
    bare = dataclasses.replace(
        known.rows["prior"], parameters={found[0]: dataclasses.replace(found[1], width=float("nan"))}
    )
    known = dataclasses.replace(known, rows={**known.rows, "prior": bare})
    section = section_of(page_of(finished_run, plausible.compared(known)), "Known truths")
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", section)[1:]
    assert ["game" in rows[0], "likelihood" in rows[1], "prior" in rows[2]] == [True] * 3
    assert "88% (76% to 95%)" in rows[0] and "88%" not in rows[2] and "<b>0.120</b>" in rows[0]
    said = " ".join(verdict.recoveries_sentences(plausible.recoveries()))
    assert "0.12, 1.20 times the least of the others (likelihood: 0.1)" in said and "88% (log theta)" in said
