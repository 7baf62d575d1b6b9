"""The report: one page that needs nothing but itself, and says what the comparison found."""

import json
import re

import numpy as np
import pytest

from experiments import files, plots, report, runs
from experiments.plots.course import NOT_DRAWN
from experiments.plots.style import DIVERGING, scale_of
from experiments.report import pieces


@pytest.fixture
def quick(monkeypatch):
    """Leave the drawing out where a test is about words."""
    monkeypatch.setattr(plots.Picture, "data_uri", lambda self: "data:,")


def test_the_page_needs_nothing_from_elsewhere(finished_run):
    page = report.write(runs.open_folder(finished_run)).read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    assert page.count("<img") > 15
    assert 'name="viewport"' in page and "@media print" in page
    assert (finished_run / "preview.png").read_bytes().startswith(b"\x89PNG")


def test_every_distance_says_in_words_whether_it_is_inside_the_null_band(finished_run, quick):
    page = report.build(runs.open_folder(finished_run))
    rows = re.findall(r"<tr[^>]*><td>([a-z ]+|sliced Wasserstein)</td>(?:(?!</tr>).)*?(inside|outside)</span>", page)
    found = dict(rows)
    assert found["spectrum"] == "outside"
    assert found["values"] == "inside"
    assert found["memorising"] == "outside"


def test_losing_is_said_as_plainly_as_winning(finished_run, quick):
    folder = runs.open_folder(finished_run)
    assert "pays off from <b>448&#8239;750</b> samples on" in report.build(folder)
    comparison = folder.comparison()
    comparison["cost"]["break_even"] = None
    files.write_json(folder.comparison_file, comparison)
    assert "<b>never</b> pays off" in report.build(folder)


def test_a_setting_that_failed_stays_in_the_search_with_its_reason(finished_run, quick):
    assert "no: fields are not finite" in report.build(runs.open_folder(finished_run))


def test_a_start_that_never_enters_is_said_not_to_by_the_last_time(finished_run, quick):
    assert "not by 64" in report.build(runs.open_folder(finished_run))


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
    assert sorted(drawn(lines)) == sorted(plots.words(name) for name in names - {*NOT_DRAWN})


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


def rewritten(folder, **changes):
    """The page of a run whose comparison has these entries too."""
    files.write_json(folder.comparison_file, {**folder.comparison(), **changes})
    return report.build(folder)


def test_what_lies_outside_the_range_of_training_has_tables_of_its_own(finished_run, quick):
    folder = runs.open_folder(finished_run)
    assert "Outside the range" not in report.build(folder)
    distance = {"value": 2.0, "floor": 0.5, "null95": 0.6, "ratio": 4.0, "ratio_ci": [3.5, 4.5], "inside": False}
    score = {"value": 0.321, "target": 0.21987, "null": [0.2, 0.24]}
    parts = {"distances": {"energy_divergence": distance}, "scores": {"crps": score}, "verdict": "It loses."}
    page = rewritten(
        folder, task="forecast", n=32, cases=64, range="viscosity 0.1 to 0.5", regions={"viscosity 0.8": parts}
    )
    section = page.partition("<h2>Outside the range of training</h2>")[2].partition("</section>")[0]
    assert "within the range of training, viscosity 0.1 to 0.5." in section
    assert "<h3>viscosity 0.8</h3>" in section
    assert "<td>energy divergence</td><td>2.00</td><td>0.500</td><td>0.600</td><td><b>4.00</b></td>" in section
    assert "<td>CRPS</td><td><b>0.321</b></td><td>0.220</td><td>0.200 to 0.240</td>" in section
    assert section.count("outside</span>") == 2
    assert "ensembles of 32 members, over 64 cases" in page and "independent trajectories" not in page


def test_every_score_says_what_it_is(finished_run, quick):
    page = report.build(runs.open_folder(finished_run))
    for name in ("diversity", "memorising"):
        assert f"<li><b>{name}</b>: " in page
    assert "<b>spread skill</b>" not in page


def test_a_saving_against_a_start_that_never_gets_there_is_a_lower_bound(finished_run, quick):
    folder = runs.open_folder(finished_run)
    row = "<td>spin-up saved against the Gaussian start, in solver time</td><td>"
    assert f"{row}18</td>" in report.build(folder)
    curves = folder.comparison()["refinement"]
    curves["gaussian"]["enters_all"] = None
    assert f"{row}more than 18</td>" in rewritten(folder, refinement=curves)


def test_without_a_search_no_strongest_solver_is_claimed(finished_run, quick):
    folder = runs.open_folder(finished_run)
    assert "Against the strongest solver" in report.build(folder)
    cost = {**folder.comparison()["cost"], "search": []}
    page = rewritten(folder, cost=cost)
    assert "Against the strongest solver" not in page and "no cheaper setting was searched" in page


def test_the_level_of_the_test_is_the_one_that_was_asked_for(finished_run, quick):
    assert "at the 1% level" in rewritten(runs.open_folder(finished_run), level=0.01)


def test_a_run_without_comparison_or_metrics_still_has_a_page_with_the_next_command(run_path):
    page = report.write(runs.open_folder(run_path)).read_text()
    assert "has not been compared" in page
    assert f"--resume {run_path}" in page
    assert not (run_path / "preview.png").exists()


def test_text_from_the_run_folder_cannot_become_markup(finished_run, quick):
    folder = runs.open_folder(finished_run)
    files.write_json(folder.comparison_file, {**folder.comparison(), "verdict": "<b>x</b> & <script>"})
    page = report.build(folder)
    assert "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt; &amp; &lt;script&gt;" in page


def test_the_page_is_the_same_when_written_again(finished_run):
    folder = runs.open_folder(finished_run)
    figures, comparison = folder.figures(), folder.comparison()
    first, second = (plots.spectrum(figures, comparison)[0].data_uri() for _ in range(2))
    assert first == second


def test_fields_share_the_scale_of_the_solver(finished_run):
    folder = runs.open_folder(finished_run)
    figures, comparison = folder.figures(), folder.comparison()
    figures["evolution/generator"] = 3 * figures["evolution/generator"]
    picture = plots.evolution(figures, comparison)[0]
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


def test_a_curve_is_marked_where_it_enters_the_band_and_nowhere_else(finished_run):
    comparison = runs.open_folder(finished_run).comparison()
    names = list(comparison["distances"])
    pictures = plots.refinement(comparison)
    assert [one.title for one in pictures] == names
    for name, picture in zip(names, pictures):
        rings = [line.get_xdata() for line in picture.figure.axes[0].lines if line.get_markersize() > 10]
        entered = [one["enters"][name] for one in comparison["refinement"].values() if one["enters"][name] is not None]
        assert sorted(float(np.ravel(x)[0]) for x in rings) == sorted(entered)


def test_a_forecast_draws_its_cases_and_ranks(finished_run, forecast_arrays):
    folder = runs.open_folder(finished_run)
    figures = {**folder.figures(), **forecast_arrays}
    pictures = plots.forecasts(figures, folder.comparison(), cases=2)
    assert len(pictures) == 2
    assert pictures[0].data_uri().startswith("data:image/svg+xml;base64,")
    assert len(plots.rank_histogram(figures, {})) == 1
    assert plots.forecasts({}, {}) == [] == plots.rank_histogram({}, {})


def test_two_dimensional_fields_are_drawn_as_images():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 12, endpoint=False)
    figures = {"coordinates/0": x, "coordinates/1": x}
    for side in ("generator", "solver"):
        figures[f"samples/{side}"] = rng.normal(size=(4, 12, 12, 1))
        figures[f"evolution/{side}"] = rng.normal(size=(6, 12, 12, 1))
    figures["evolution/times"] = np.arange(6.0)
    comparison = {"channels": ["vorticity"], "units": {"vorticity": "1/s"}}
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
    assert [one.title for one in plots.training(rows)] == ["Losses", "Gradient norms", "Carry time"]
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
    [(2.1e-4, "210 µs"), (0.0042, "4.20 ms"), (41.0, "41.0 s"), (318.0, "5.30 min"), (None, "–")],
)
def test_durations_have_a_unit_that_suits_them(value, text):
    assert pieces.seconds(value) == text


def test_damaged_figures_say_how_to_write_them_again(finished_run):
    (finished_run / "figures.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match=r"compare .* writes it again"):
        report.write(runs.open_folder(finished_run))


def test_a_comparison_that_is_no_json_is_told(finished_run):
    (finished_run / "comparison.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        report.write(runs.open_folder(finished_run))
