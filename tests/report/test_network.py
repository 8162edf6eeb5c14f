from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from edgecnn.core.errors import InputError
from edgecnn.report import network_svg
from edgecnn.report.network_layout import blocks_of, nodes_of

SVG = "{http://www.w3.org/2000/svg}"


def layer(name: str, op: str, inputs: tuple[int, ...], **given: Any) -> dict[str, Any]:
    usual = {
        "name": name,
        "op": op,
        "inputs": list(inputs),
        "output_shape": [8, 8, 4],
        "macs": 0,
        "params": 0,
        "kernel": [3, 3] if "Conv" in op else None,
        "stride": [2, 2] if "Conv" in op else None,
    }
    return {**usual, **given}


def facts(*layers: dict[str, Any], **given: Any) -> dict[str, Any]:
    usual = {
        "model": "net",
        "format": "keras",
        "params": sum(row["params"] for row in layers),
        "macs": sum(row["macs"] for row in layers),
        "activation_peak_bytes": 1000,
        "receptive_field": [9, 7],
        "layers": list(layers),
    }
    return {**usual, **given}


RESIDUAL = (
    layer("stem_conv", "Conv2D", (-1,), macs=900),
    layer("stem_bn", "BatchNormalization", (0,), params=16),
    layer("stem_relu", "ReLU", (1,)),
    layer("block1_conv", "Conv2D", (2,), macs=400),
    layer("block1_bn", "BatchNormalization", (3,)),
    layer("block1_second_conv", "Conv2D", (4,), macs=100),
    layer("block1_add", "Add", (2, 5)),
    layer("block1_relu", "ReLU", (6,)),
    layer("pool", "GlobalAveragePooling2D", (7,), output_shape=[4]),
)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_layer_and_what_is_computed_in_its_place_are_one_box() -> None:
    nodes = nodes_of(RESIDUAL)
    assert [node.layer["name"] for node in nodes] == [
        "stem_conv", "block1_conv", "block1_second_conv", "block1_add", "pool",
    ]  # fmt: skip
    assert [len(node.members) for node in nodes] == [3, 2, 1, 2, 1]
    assert [node.inputs for node in nodes] == [(-1,), (0,), (1,), (0, 2), (3,)]
    assert (nodes[0].macs, nodes[0].params) == (900, 16)


def test_a_network_is_cut_where_one_tensor_crosses() -> None:
    blocks = blocks_of(nodes_of(RESIDUAL))
    assert [sorted(block.rows) for block in blocks] == [[0], [1, 2, 3], [4]]
    assert [block.height for block in blocks] == [1, 3, 1]
    # The way round the two convolutions runs in a lane of its own.
    assert [edge.target for edge in blocks[1].edges if edge.lane is not None] == [3]


def test_branches_stand_abreast_and_meet_in_the_middle() -> None:
    branches = nodes_of(
        (
            layer("stem", "Conv2D", (-1,), macs=1),
            layer("a", "Conv2D", (0,), macs=1),
            layer("b1", "Conv2D", (0,), macs=1),
            layer("b2", "Conv2D", (2,), macs=1),
            layer("c", "MaxPooling2D", (0,), kernel=[3, 3]),
            layer("both", "Concatenate", (1, 3, 4), output_shape=[8, 8, 12]),
        )
    )
    _, block = blocks_of(branches)
    assert (block.width, block.height, block.narrow) == (3, 3, 0)
    assert [block.lanes.get(node) for node in range(1, 6)] == [0, 1, 1, 2, None]
    assert [block.rows[node] for node in range(1, 6)] == [0, 0, 1, 0, 2]


def test_the_picture_says_what_each_box_does_and_costs() -> None:
    svg = network_svg(facts(*RESIDUAL, alpha=0.5))
    assert [text for text in texts(svg) if "conv" in text or text == "add"] == [
        "conv 3×3 /2", "conv 3×3 /2", "conv 3×3 /2", "add",
    ]  # fmt: skip
    assert "net, alpha 0.5" in texts(svg)
    assert any("an output sees 9×7 pixels" in text for text in texts(svg))
    tips = [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}title")]
    assert "stem_conv: Conv2D 3×3 /2\nstem_bn: BatchNormalization\nstem_relu: ReLU\n" \
        "16 parameters, 900 MACs" in tips  # fmt: skip


def test_the_most_expensive_box_is_the_darkest() -> None:
    root = ET.fromstring(network_svg(facts(*RESIDUAL)))
    boxes = [box for box in root.iter(f"{SVG}rect") if box.get("width") == "112"]
    legend = [box.get("fill") for box in root.iter(f"{SVG}rect") if box.get("width") == "40"]
    assert boxes[0].get("fill") == legend[-1]
    assert boxes[3].get("fill") == legend[0]
    assert legend.index(boxes[1].get("fill")) > legend.index(boxes[2].get("fill"))


def test_a_long_network_goes_on_in_the_next_column() -> None:
    rows = [layer(f"c{i}", "Conv2D", (i - 1,), macs=i, output_shape=[4, 4, i]) for i in range(60)]
    svg = network_svg(facts(*rows))
    _, _, width, height = map(float, str(ET.fromstring(svg).get("viewBox")).split())
    assert 640 < width <= 1080
    assert height < 800
    boxes = [b for b in ET.fromstring(svg).iter(f"{SVG}rect") if b.get("width") == "112"]
    places = {(box.get("x"), box.get("y")) for box in boxes}
    assert len(places) == 60


def test_hostile_names_stay_text() -> None:
    name = '</title><script>alert(1)</script>"\x1b[31m\u202e'
    svg = network_svg(facts(layer(name, name, (-1,)), model=f"{name}.tflite", format="tflite"))
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_the_batch_of_a_file_is_not_drawn() -> None:
    rows = [layer("a", "CONV_2D", (-1,), output_shape=[1, 8, 8, 4], kernel=[3, 3])]
    assert "8×8×4" in texts(network_svg(facts(*rows, format="tflite")))
    gate = [layer("a", "Mean", (-1,), output_shape=[1, 1, 4])]
    assert "1×1×4" in texts(network_svg(facts(*gate)))


def test_layers_that_nobody_reads_are_drawn_too() -> None:
    rows = [layer("a", "Conv2D", (-1,)), layer("b", "Conv2D", (0,)), layer("c", "Conv2D", (0,))]
    (_, block) = blocks_of(nodes_of(rows))
    assert sorted(block.rows) == [1, 2]
    assert network_svg(facts(*rows)).count(">conv 3×3 /2<") == 3


@pytest.mark.parametrize("number", [0, 2001])
def test_what_no_picture_can_show_is_refused(number: int) -> None:
    rows = [layer(f"c{i}", "Conv2D", (i - 1,), macs=1) for i in range(number)]
    with pytest.raises(InputError, match="boxes to draw in net: use the table"):
        network_svg(facts(*rows))
