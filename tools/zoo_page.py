"""Write docs/zoo.md and its pictures from the catalogue and the builders, or check them.

Run: python tools/zoo_page.py --write | --check

--check looks at the page only, which needs no TensorFlow; a test draws some pictures anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecnn.core.catalogue import read_catalogue
from edgecnn.report import units

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "zoo.md"
PICTURES = DOCS / "images" / "zoo"

# More of the same blocks than a sibling whose picture is there.
_DEEPER = frozenset(
    {f"efficientnet_lite{number}" for number in (1, 2, 3, 4)}
    | {"resnet50_v1_5", "resnet101", "resnet152", "senet154", "vgg19"}
)
_TITLES = {
    "alexnet": "AlexNet and ZF Net",
    "ds_cnn": "A small separable network",
    "efficientnet": "EfficientNet",
    "efficientnet_lite": "EfficientNet-Lite",
    "googlenet": "GoogLeNet",
    "inception": "Inception",
    "lenet": "LeNet",
    "mnasnet": "MnasNet",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3",
    "mobilenet_v4": "MobileNetV4",
    "resnet": "ResNet",
    "senet": "SENet",
    "tutorial": "What courses begin with",
    "vgg": "VGG",
    "xception": "Xception",
}

_HEAD = """\
# The zoo

Made by `python tools/zoo_page.py --write` from the catalogue and the builders. Every figure below
is held against the built network by a test, and against the published one where there is one.

```python
import edgecnn

model = edgecnn.build("mobilenet_v2", classes=5, size=160)  # a Keras model
model = edgecnn.build("efficientnet_lite0", classes=5, weights="imagenet")
```

```sh
edgecnn zoo show mobilenet_v3_small
edgecnn inspect mobilenet_v3_small --size 160 --out network.svg
edgecnn train photos/ --arch mobilenet_v2 --alpha 0.5 --size 160 --out run/
edgecnn zoo pull efficientnet_lite0 --out lite0/
```

Parameters and multiply-accumulates (MACs) are those of the network with ImageNet's 1,000 classes
at the size given, batch norm's statistics included. Top-1 is what the weights' publishers report
on ImageNet; `edgecnn zoo show` names the source and the licence. The int8 column says what full
8-bit integers do to such a network: *good* loses little, *care* asks for a look at the
verification, *poor* has parts (swish, squeeze-excitation) that cost accuracy or speed. A number
after a name is its width, the `--alpha` of the command line.

"""

_LAYERS = """
## Layers

Networks of your own may be made of any Keras layers; they convert, quantize and inspect alike:
convolutions over one, two or three axes, dilated, grouped, depthwise, separable and transposed
ones, pooling of all kinds. Two that courses teach and Keras lacks are here:

```python
from edgecnn import zoo

x = zoo.LocalResponseNormalization()(x)  # AlexNet's: each channel against its neighbours
x = zoo.DepthwiseMaxPooling(4)(x)  # the largest of every four channels
```
"""


def page() -> str:
    """Return the whole page."""
    return _HEAD + "\n".join(_sections()) + _LAYERS


def pictured() -> list[str]:
    """Return the architectures that have a picture."""
    names = dict.fromkeys(row["arch"] for row in read_catalogue()["architectures"])
    return [name for name in names if name not in _DEEPER]


def picture(name: str) -> str:
    """Draw one architecture at its own size, as SVG."""
    from edgecnn.flows.inspecting import inspect_model
    from edgecnn.report import network_svg

    return network_svg(inspect_model(name))


def _sections() -> Iterator[str]:
    families: dict[str, list[dict[str, Any]]] = {}
    for row in read_catalogue()["architectures"]:
        families.setdefault(row["family"], []).append(row)
    shown = pictured()
    for family, rows in families.items():
        papers = dict.fromkeys(row["paper"] for row in rows)
        yield f"## {_TITLES[family]}\n\nSource: {'; '.join(papers)}.\n"
        yield "| architecture | input | parameters | MACs | top-1 | int8 | weights |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_line(row) for row in rows)
        yield ""
        for name in dict.fromkeys(row["arch"] for row in rows):
            if name in shown:
                yield f"![{name}, layer by layer, darker where more is multiplied]({_link(name)})\n"


def _line(row: dict[str, Any]) -> str:
    weights = row["weights"]
    top1 = f"{100 * weights[0]['top1']:.1f} %" if weights else ""
    cells = (
        f"`{row['name']}`",
        f"{row['size']}",
        units.count(row["params"]),
        units.rough(row["macs"]),
        top1,
        row["int8"],
        ", ".join(entry["source"] for entry in weights),
    )
    return f"| {' | '.join(cells)} |"


def _link(name: str) -> str:
    return f"images/zoo/{name}.svg"


def write() -> None:
    """Write the page and all pictures."""
    PAGE.write_text(page(), encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for stale in {path.stem for path in PICTURES.glob("*.svg")} - set(pictured()):
        (PICTURES / f"{stale}.svg").unlink()
    for name in pictured():
        (PICTURES / f"{name}.svg").write_text(picture(name), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write or check; 1 when the page is stale."""
    if arguments == ["--write"]:
        write()
        return 0
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE.name} is stale: python tools/zoo_page.py --write", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
