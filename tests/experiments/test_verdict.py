"""The verdict's sentences: true of what was measured, and plain about losing."""

import dataclasses

import pytest

from experiments.evaluation import entries, results
from experiments.evaluation.verdict import verdict
from experiments.wording import duration


def test_no_section_no_sentence():
    assert verdict(()) == ""


def test_tests_speak_first_whatever_the_order_of_the_sections(plausible):
    first = verdict(plausible.sections()[:5])
    assert first == verdict(plausible.sections()[4::-1])
    assert first.startswith("The samples are distinguished from held-out solver fields (joint p = 0.0002): the test")


def test_samples_that_are_distinguished_are_said_to_be_by_the_strongest_test_and_its_interval(plausible):
    said = verdict([plausible.tests()])
    assert "classifier on physical features" in said and "0.76 [0.75, 0.77]" in said and "0.488 to 0.512" in said
    both = verdict([plausible.tests(strongest="features")])
    assert both.index("“features” finds 31") < both.index("“classifier on physical features” finds 0.76")
    assert "nearest neighbours" not in said


def test_samples_that_are_not_distinguished_come_with_what_would_have_been_found(plausible):
    said = verdict([plausible.tests(p_value=0.3)])
    assert "are not distinguished from held-out solver fields (joint p = 0.3): the test" in said
    assert "beyond 0.52 would have been found with a probability of 80%" in said
    assert "energy of wave 3" in said and "0.031" in said


def test_a_p_value_at_the_level_tells(plausible):
    assert "are distinguished" in verdict([plausible.tests(p_value=0.05)])
    assert "are not distinguished" in verdict([plausible.tests(p_value=0.0501)])


def test_a_strongest_member_that_is_not_there_costs_only_its_clause(plausible):
    assert "(joint p = 0.0002): the test" in verdict([plausible.tests(strongest="none")])
    assert verdict([plausible.tests(entries={})]).endswith("(joint p = 0.0002).")


def test_distances_outside_are_named_with_their_ratios(plausible):
    said = verdict([plausible.distances()])
    assert said.startswith(
        "1 of 5 distances distinguishes the samples from the solver: spectrum (1.9 times the floor)."
    )
    entries = {n: dataclasses.replace(one, inside=True) for n, one in plausible.distances().entries.items()}
    inside = verdict([plausible.distances(entries=entries, reference="exact samples")])
    assert inside.startswith("None of the 5 distances distinguishes the samples from exact samples.")


def test_a_score_outside_its_band_is_named_and_one_inside_is_not(plausible):
    said = verdict([one for one in plausible.sections() if isinstance(one, results.Scores)])
    assert "Memorization is 0.31" in said and "0.46 and 0.54" in said and "iversity" not in said


def test_samples_that_were_left_out_are_said_as_a_share():
    invalid = entries.Score("share left out", "", 0.02, 0.0, (0.0, 0.0))
    said = verdict([results.Scores("the solver's", {"invalid": invalid})])
    assert said == "2.00% of the samples were not finite and were left out."


def forecast(own):
    crps = entries.Score("ranked probability score", "std", own, 0.4, (0.39, 0.41))
    return [results.Forecasts(), results.Scores("the exact posterior", {"crps": crps})]


@pytest.mark.parametrize(("own", "share"), [(0.6, "+50%"), (0.3, "-25%")])
def test_a_forecast_says_how_far_its_crps_is_from_the_exact_posteriors(own, share):
    said = verdict(forecast(own))
    assert f"CRPS is {own} std where the reference has 0.4 ({share})" in said
    assert said.count("CRPS") == 1


def test_outside_the_range_of_training_has_a_sentence_for_each_region(plausible):
    said = verdict([one for one in plausible.sections() if isinstance(one, results.Regions)])
    assert "viscosity 0.8" in said and "(+46%)" in said and "1 of 1 distances distinguishes" in said


def test_modes_stand_beside_those_of_exact_samples():
    scores = {
        "modes_found": entries.Score("", "", 24.0, 25.0, (25.0, 25.0)),
        "high_quality": entries.Score("", "", 0.9, 0.99, (0.98, 1.0)),
        "total_variation": entries.Score("", "", 0.2, 0.03, (0.02, 0.04)),
    }
    said = verdict([results.Scores("exact samples", scores), results.ModeShares("25 Gaussians", 25, 10_000)])
    assert "Over 10,000 samples, 24 of 25 modes are found (exact samples: 25), 90.0%" in said
    assert "0.200 (exact samples: 0.030)" in said
    assert said.count("variation") == 1


def refined(generator, gaussian):
    times = (0.0, 8.0, 16.0, 32.0)
    curves = {
        name: entries.Curve(name, times, {}, (), (), (), (), enters)
        for name, enters in (("generator", generator), ("gaussian", gaussian))
    }
    return results.Refinement(0.05, curves, {})


@pytest.mark.parametrize(
    ("generator", "gaussian", "expected"),
    [
        (8.0, 16.0, "The generator saves 8 of solver time against gaussian."),
        (8.0, None, "The generator saves more than 24 of solver time against gaussian."),
        (None, 16.0, "The generator never gets there; gaussian does."),
        (None, None, "Neither the generator nor any other start gets there in the time measured."),
        (16.0, 8.0, "The generator saves no solver time against gaussian."),
    ],
)
def test_refinement_names_what_the_generator_saves(generator, gaussian, expected):
    assert verdict([refined(generator, gaussian)]).endswith(expected)


def test_every_start_is_named_with_its_time_or_never(plausible):
    said = verdict([plausible.refinement()])
    assert "generator from solver time 8 on" in said and "initial condition never within 64" in said


def test_the_cost_is_said_against_the_cheapest_setting_with_the_spread_of_both(plausible):
    said = verdict([plausible.cost()])
    assert "210 µs (200 µs to 240 µs)" in said and "(points 32, dt 0.1) it costs 1 ms (900 µs to 1.1 ms)" in said
    assert "4.76 times cheaper" in said and "pays off from about 450,000 samples on" in said


@pytest.mark.parametrize(
    ("theirs", "tied"),
    [
        ((230e-6, 225e-6, 260e-6), True),  # within the repeats of the generator
        ((230e-6, 190e-6, 240e-6), True),
        ((250e-6, 241e-6, 260e-6), False),
        ((400e-6, 190e-6, 600e-6), False),  # the scatter hides nothing of a factor of two
    ],
)
def test_times_within_the_scatter_of_one_another_are_a_tie(plausible, theirs, tied):
    cost = plausible.cost()
    row = entries.SolverRow({"points": 32}, entries.Timing(*theirs, 5), True, {})
    cost = dataclasses.replace(
        cost, search=(row, row), reference=dataclasses.replace(cost.reference, timing=entries.Timing(1.0, 1.0, 1.0, 1))
    )
    assert cost.tied is tied and ("within the scatter of the times" in verdict([cost])) is tied


def test_where_nothing_is_as_good_the_verdict_says_so(plausible):
    cost = plausible.cost()
    worse = dataclasses.replace(cost.reference, reaches=False)
    cost = dataclasses.replace(
        cost, search=tuple(dataclasses.replace(row, reaches=False) for row in cost.search), reference=worse
    )
    assert not cost.matched and cost.cheapest is worse
    said = verdict([cost])
    assert "Nothing that was tried is as good" in said and "from the reference's own sampler" in said
    # Against what is worse nothing pays.
    assert cost.break_even is None and "not known, without a rival" in said


def test_the_generator_has_to_pay_against_the_cheapest_with_its_crps_too(plausible):
    cost = plausible.cost()
    rows = tuple(dataclasses.replace(row, values={"crps": 0.1 * i}) for i, row in enumerate(cost.search))
    alike = dataclasses.replace(cost, search=rows, values={"crps": 0.3})
    assert alike.cheapest_by("crps").timing.seconds < alike.cheapest.timing.seconds
    assert alike.break_even is None or alike.break_even > cost.break_even


def test_a_generator_that_is_dearer_never_pays_off_and_the_verdict_says_so(plausible):
    said = verdict([plausible.cost(generator=entries.Timing(2e-3, 2e-3, 2e-3, 1))])
    assert "2 times dearer" in said and "never pays off" in said


def test_without_a_search_the_solver_of_the_data_is_what_it_is_held_against(plausible):
    said = verdict([plausible.cost(search=())])
    assert "from the reference (as the data were made) it costs 4.2 ms" in said and "nothing cheaper" in said


@pytest.mark.parametrize(
    ("equals", "interval", "expected"),
    [
        (400.0, (300.0, 600.0), ("400 independent", "300 to 600", "less than it was trained on")),
        (
            9e3,
            (5e3, None),
            ("9,000 independent", "5,000 to more than these samples can show", "more than it was trained on"),
        ),
        (3e3, (1e3, None), ("3,000 independent", "does not tell whether")),
        (None, (1e4, None), ("at least 10,000", "more than it was trained on")),
        (None, (None, None), ("No error",)),
    ],
)
def test_worth_is_said_beside_the_number_of_training_fields(equals, interval, expected):
    worth = results.Worth("energy distance", "", (16, 4096), (0.1, 0.01), 0.02, 10_000, 2048, equals, interval)
    said = verdict([worth])
    assert all(one in said for one in expected) and "2,048" in said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3e-7, "300 ns"),
        (2.5e-5, "25 µs"),
        (0.012, "12 ms"),
        (52.3, "52.3 s"),
        (452.3, "452 s"),
        (1500.0, "25 min"),
        (14400.0, "4 h"),
    ],
)
def test_times_have_a_unit_that_suits_them(value, text):
    assert duration(value) == text
