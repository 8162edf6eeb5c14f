from __future__ import annotations

import keras
import pytest

from edgecnn import zoo

pytestmark = pytest.mark.tensorflow

# Millions of operations of the modules 3a to 5b: arXiv:1409.4842, table 1. Its 54 of 5a is none
# of its own kernels' count, which is 51.
MODULES = {
    "stage3_block0": 128,
    "stage3_block1": 304,
    "stage4_block0": 73,
    "stage4_block1": 88,
    "stage4_block2": 100,
    "stage4_block3": 119,
    "stage4_block4": 170,
    "stage5_block0": 51,
    "stage5_block1": 71,
}


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[int, int]]:
    """Parameters and multiply-accumulates of each layer, of both networks."""
    found = {}
    with keras.StatelessScope(initialize_variables=False):
        for arch in ("googlenet", "se_inception"):
            for row in zoo.cost(zoo.build(arch, shape=(224, 224, 3))).layers:
                found[f"{arch}/{row.name}"] = (row.params, row.macs)
    return found


def sums(rows: dict[str, tuple[int, int]], prefix: str) -> tuple[int, int]:
    mine = [pair for name, pair in rows.items() if name.startswith(prefix)]
    return sum(params for params, _ in mine), sum(macs for _, macs in mine)


@pytest.mark.parametrize("module", MODULES)
def test_module_costs_what_the_papers_table_says(
    module: str, rows: dict[str, tuple[int, int]]
) -> None:
    _, macs = sums(rows, f"googlenet/{module}_")
    assert macs / 1e6 == pytest.approx(MODULES[module], abs=1)


@pytest.mark.parametrize("module", MODULES)
def test_squeeze_excitation_adds_what_its_paper_says(
    module: str, rows: dict[str, tuple[int, int]]
) -> None:
    """Two dense layers of C x C/16 with biases: arXiv:1709.01507, section 4, r = 16."""
    plain, _ = sums(rows, f"googlenet/{module}_")
    weighted, _ = sums(rows, f"se_inception/{module}_")
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build("googlenet", shape=(224, 224, 3))
    channels = body.get_layer(f"{module}_concat").output.shape[-1]
    inner = channels // 16
    assert weighted - plain == 2 * channels * inner + channels + inner
