"""Layers in words, as a table, as a drawing and as a section of the page."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.core.noise import Noise, Relief
from edgecnn.report import Collected, collect, render
from edgecnn.report.layers_chart import WIDTH, Bar, Text, draw, ends_of
from edgecnn.report.layers_svg import layers_svg
from edgecnn.report.layers_text import about, layers_table, sentence
from tests.report.samples import layer, network
from tests.report.test_page import PAYLOADS

LOUD = network(1.0, 0.1, 0.2, 0.1, relief=Relief(layers=("block0",), noise=0.1, flips=4))


def test_layers_without_which_most_flips_are_gone_are_said_to_cause_them() -> None:
    assert sentence(LOUD) == (
        "block0 causes most of the flips (71.4 % of the noise); 14 of 759 answers changed, and "
        "with it in float 4."
    )


def test_two_layers_are_spoken_of_in_the_plural() -> None:
    both = Relief(layers=("block0", "block1"), noise=0.1, flips=3)
    text = sentence(network(1.0, 0.8, 0.1, 0.1, relief=both))
    assert text.startswith("block0 and block1 cause most of the flips (90.0 % of the noise)")
    assert text.endswith("and with them in float 3.")


@pytest.mark.parametrize(
    "noise",
    [
        dataclasses.replace(LOUD, relief=Relief(layers=("block0",), noise=0.9, flips=9)),
        dataclasses.replace(LOUD, flips=3, relief=Relief(layers=("block0",), noise=0.1, flips=1)),
        dataclasses.replace(LOUD, relief=None),
    ],
    ids=["most flips stay", "too few flips", "not tried"],
)
def test_flips_are_not_blamed_on_layers_without_a_measurement(noise: Noise) -> None:
    assert sentence(noise).startswith("block0 makes most of the noise in the scores (71.4 %")


def test_noise_from_everywhere_is_nobodys_fault() -> None:
    text = sentence(network(*[1.0] * 10, flips=0))
    assert text.startswith("The noise in the scores comes from many layers; the noisiest are")
    assert text.endswith("(30.0 % of the noise); none of 759 answers changed.")


def test_no_noise_is_said_plainly() -> None:
    assert sentence(network(0.0, 0.0, flips=0)).startswith("No layer adds noise")


def test_few_layers_are_named_and_only_those_that_stand_out() -> None:
    assert network(1.0, 0.1, 0.2).loudest == ("block0",)
    assert network(0.3, 0.1, 1.0).loudest == ("block2", "block0")
    assert len(network(*[1.0] * 10).loudest) == 3
    assert network(0.0).loudest == ()


def test_the_table_has_the_noisiest_first_and_counts_the_others() -> None:
    table = layers_table(network(*[0.1 * i for i in range(30)]))
    names = [str(cell) for cell in table.columns[0].cells]
    assert names[0] == "block29"
    assert names[-1] == "... and 9 quieter ones"
    assert table.row_count == 21


def test_it_is_told_what_was_measured_on_what() -> None:
    assert about(LOUD) == (
        "flowers-int8.tflite against float on 759 photos of flowers, test; each layer alone on "
        "64 of them"
    )


@pytest.mark.parametrize("count", [1, 2, 17, 240])
def test_the_drawing_keeps_to_its_paper(count: int) -> None:
    chart = draw(network(*[1.0 + i for i in range(count)]))
    bars = [shape for shape in chart.shapes if isinstance(shape, Bar)]
    assert len(bars) == 2 * count
    for bar in bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= chart.height
    assert all(0 <= t.y <= chart.height for t in chart.shapes if isinstance(t, Text))


def test_a_layer_without_figures_leaves_a_gap_and_no_trace() -> None:
    quiet = layer("moves", 0.0, macs=0, sqnr_db=None, sqnr_alone_db=None)
    with_it = dataclasses.replace(LOUD, layers=(*LOUD.layers, quiet))
    assert draw(with_it) == draw(LOUD)
    exact = layer("exact", 0.5, sqnr_db=None, sqnr_alone_db=None)
    assert draw(dataclasses.replace(LOUD, layers=(exact,))).shapes


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_from_files_stay_text(payload: str) -> None:
    hostile = dataclasses.replace(
        LOUD, file=payload, data=payload, layers=(layer(payload, 1.0),), advice=(payload,)
    )
    assert payload not in layers_svg(hostile)
    assert payload not in render(Collected(noises=(hostile,)))
    ElementTree.fromstring(layers_svg(hostile))


def test_the_page_has_the_drawing_the_sentence_and_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "flowers-int8.layers.json").write_text(schema.dumps(LOUD))
    page = render(collect([tmp_path]))
    for words in ("What integers do to each layer", "causes most of the flips", "30.5 dB", "<svg"):
        assert words in page


def test_a_damaged_file_of_layers_is_refused(tmp_path: Path) -> None:
    content = json.loads(schema.dumps(LOUD))
    del content["layers"][0]["noise"]
    (tmp_path / "layers.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="bad"):
        collect([tmp_path])


def test_what_others_read_is_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(schema.dumps(LOUD))
    (tmp_path / "plan.json").write_text('{"schema": "edgecnn/quantization-plan/1"}')
    assert collect([tmp_path]).notes == ()


@pytest.mark.parametrize("place", [0, 5, 17])
def test_names_of_neighbours_stand_clear_of_each_other(place: int) -> None:
    layers = [layer(f"stage{i}_block0_depthwise", 0.1) for i in range(20)]
    for i, noise in ((place, 1.0), (place + 1, 0.98), (place + 2, 0.99)):
        layers[i] = dataclasses.replace(layers[i], noise=noise)
    loud = dataclasses.replace(LOUD, layers=tuple(layers))
    names = [t for t in draw(loud).shapes if isinstance(t, Text) and t.text in loud.loudest]
    assert len(names) == 3
    for one, other in itertools.combinations(names, 2):
        (left, right), (begin, end) = ends_of(one), ends_of(other)
        assert abs(one.y - other.y) >= 12 or right < begin or end < left
    assert all(ends_of(name)[0] >= 0 and ends_of(name)[1] <= WIDTH for name in names)


def timed() -> Noise:
    layers = tuple(dataclasses.replace(one, ms=0.5 * i) for i, one in enumerate(LOUD.layers))
    return dataclasses.replace(LOUD, layers=layers, timed="a.tflite in litert", operations_ms=4.0)


def test_times_are_a_column_and_a_panel_where_they_were_measured() -> None:
    columns = [str(column.header) for column in layers_table(timed()).columns]
    assert columns[columns.index("MACs") + 1] == "time"
    assert "25.0 %" in [str(cell) for cell in layers_table(timed()).columns[3].cells]
    assert "share of the time, %" in layers_svg(timed())
    assert about(timed()).endswith("; times: a.tflite in litert")
    assert "12.5 % of the time" in layers_svg(timed())
    assert '<th scope="col">Time</th>' in render(Collected(noises=(timed(),)))


def test_without_times_nothing_speaks_of_them() -> None:
    assert "share of the time" not in layers_svg(LOUD)
    assert "time" not in [str(column.header) for column in layers_table(LOUD).columns]


def test_a_figure_and_its_unit_stay_on_one_line() -> None:
    page = render(Collected(noises=(LOUD,)))
    assert "71.4\u00a0% of the noise" in page
    assert "71.4\u00a0% of the noise" in layers_svg(LOUD)
