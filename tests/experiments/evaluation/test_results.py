"""The codec of ``comparison.json``: what is read is what was written, and what is no comparison is refused."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.errors import UserError
from experiments.evaluation import entries, results, results_file

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = {
    float: FINITE,
    int: st.integers(),
    bool: st.booleans(),
    str: st.text(max_size=8),
    types.NoneType: st.none(),
}

KEYS = {kind: key for key, kind in results_file.KINDS.items()}


def plain_values_of(kind):
    """A strategy for what the file holds in place of a value of this annotation, records included."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.fixed_dictionaries({one.name: plain_values_of(hints[one.name]) for one in dataclasses.fields(kind)})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[-1] is ...:
        return st.lists(plain_values_of(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(plain_values_of, arguments)).map(list)
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=5), plain_values_of(arguments[1]), max_size=2)
    return st.one_of(*map(plain_values_of, arguments)) if arguments else PLAIN[kind]


def without_quotients(found, given):
    """What was written, less the entries that nobody gave: the properties that are written for other readers."""
    if isinstance(given, dict):
        return {key: without_quotients(found[key], given[key]) for key in found if key in given}
    if isinstance(given, list):
        return [without_quotients(*pair) for pair in zip(found, given, strict=True)]
    return found


def comparison_of(*sections):
    """A comparison of these sections and nothing else."""
    return results.Comparison("title", "verdict", 0, sections)


@pytest.mark.parametrize("kind", results_file.KINDS.values(), ids=results_file.KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_kind_of_section_is_read_back_as_it_was_written(kind, data):
    section = data.draw(plain_values_of(kind))
    key = KEYS[kind]
    content = {"format": results_file.FORMAT, "title": "t", "verdict": "v", "n": 1, key: section}
    read = results_file.from_plain(content, "it", "make it")
    written = json.loads(json.dumps(results_file.to_plain(read)))
    assert type(read.sections[0]) is kind
    assert without_quotients(written[key], section) == section
    assert results_file.from_plain(written, "it", "make it") == read


def test_a_file_holds_all_sections_in_their_order(tmp_path, plausible):
    comparison, path = plausible.compared(), tmp_path / "comparison.json"
    results_file.write(comparison, path)
    read = results_file.read(path, "make it")
    assert read == comparison
    assert {type(one) for one in read.sections} == set(results_file.KINDS.values())
    assert [type(one) for one in results_file.read(path, "").sections] == [type(one) for one in comparison.sections]
    backwards = dataclasses.replace(comparison, sections=comparison.sections[::-1])
    results_file.write(backwards, path)
    assert results_file.read(path, "make it") == backwards


def test_quotients_stand_in_the_file_for_whoever_reads_it(tmp_path, plausible):
    results_file.write(plausible.compared(), tmp_path / "comparison.json")
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert content["distances"]["entries"]["spectrum"]["ratio"] == pytest.approx(1.9)
    assert content["tests"]["distinguished"] is True
    assert content["cost"]["break_even"] == 454_431


def test_a_number_that_is_not_finite_is_read_back_as_nan(tmp_path, plausible):
    far = dataclasses.replace(plausible.distances().entries["marginals"], value=math.inf)
    results_file.write(comparison_of(plausible.distances(entries={"marginals": far})), tmp_path / "comparison.json")
    read = results_file.read(tmp_path / "comparison.json", "make it")
    assert math.isnan(read.need(results.Distances).entries["marginals"].ratio)


def test_a_section_that_is_not_there_is_none_and_needing_it_is_an_error(plausible):
    comparison = comparison_of(plausible.tests())
    assert comparison.get(results.Cost) is None
    assert comparison.need(results.Tests) == plausible.tests()
    with pytest.raises(LookupError, match="Cost"):
        comparison.need(results.Cost)


def test_a_floor_of_zero_or_a_time_of_zero_has_no_quotient_and_is_no_error(plausible):
    entry = plausible.distances().entries["marginals"]
    assert math.isnan(dataclasses.replace(entry, floor=0.0).ratio)
    assert math.isnan(plausible.cost(generator=entries.Timing(0.0, 0.0, 0.0, 1)).advantage)


def test_the_cheapest_solver_is_the_cheapest_of_those_that_are_as_good(plausible):
    cost = plausible.cost()
    assert cost.cheapest.setting == {"points": 32, "dt": 0.1}
    assert plausible.cost(search=cost.search[1:3]).cheapest == cost.reference
    assert cost.break_even == math.ceil((41.0 + 318.0) / (1e-3 - 2.1e-4))
    assert plausible.cost(generator=entries.Timing(1.0, 1.0, 1.0, 1)).break_even is None


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"3", b"\xff\xfe", b'{"format": 3', b"[" * 10**5, b'{"a":' * 10**5, b'{"format": 3}'],
    ids=["empty", "list", "number", "bytes", "cut", "deep list", "deep mapping", "nothing else"],
)
def test_a_file_that_is_no_comparison_is_reported_with_what_makes_it_again(tmp_path, text):
    path = tmp_path / "comparison.json"
    path.write_bytes(text)
    with pytest.raises(UserError, match=r"comparison\.json is damaged; make it\."):
        results_file.read(path, "make it")


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"has no comparison\.json yet; make it"):
        results_file.read(tmp_path / "comparison.json", "make it")


@pytest.mark.parametrize("content", [{}, {"task": "snapshot", "distances": {}}, {"format": 1}, {"format": [3]}])
def test_another_format_is_distinguished_from_damage(content):
    with pytest.raises(UserError, match=r"is of format .*, which this version does not read; make it\."):
        results_file.from_plain(content, "it", "make it")


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("distances", "entries", [1]),
        ("distances", "entries", {"spectrum": 3}),
        ("distances", "level", "0.05"),
        ("distances", "draws", 1.5),
        ("distances", "draws", True),
        ("distances", "level", 10**400),
        ("scores", "reference", 3),
        ("scores", "entries", None),
        ("refinement", "curves", {"generator": {"label": "generator"}}),
        ("refinement", "auc_null", [0.4]),
        ("cost", "search", {"a": 1}),
        ("orbits", "rows", "ab"),
        ("tests", "bounds", [[]]),
        ("worth", "count", 3),
    ],
)
def test_a_value_of_the_wrong_type_is_damage(plausible, section, name, value):
    content = json.loads(json.dumps(results_file.to_plain(plausible.compared())))
    content[section][name] = value
    with pytest.raises(UserError, match="it is damaged; make it"):
        results_file.from_plain(content, "it", "make it")


@pytest.mark.parametrize("kind", results_file.KINDS.values(), ids=results_file.KINDS)
def test_a_section_that_is_no_mapping_or_lacks_a_field_is_damage(plausible, kind):
    key = KEYS[kind]
    content = json.loads(json.dumps(results_file.to_plain(plausible.compared())))
    missing = dataclasses.MISSING
    own = [one.name for one in dataclasses.fields(kind) if one.default is missing and one.default_factory is missing]
    broken = [[], 3, None, *({k: v for k, v in content[key].items() if k != name} for name in own)]
    for value in broken:
        with pytest.raises(UserError, match="it is damaged"):
            results_file.from_plain({**content, key: value}, "it", "make it")
