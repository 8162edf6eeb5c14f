"""The page of the zoo is what the catalogue and the builders say today."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zoo_page", ROOT / "tools" / "zoo_page.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(tool: ModuleType) -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page()


def test_each_kind_of_network_has_a_picture_and_no_other_is_left(tool: ModuleType) -> None:
    assert {path.stem for path in tool.PICTURES.glob("*.svg")} == set(tool.pictured())


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lenet5", "ds_cnn", "mobilenet_v2", "googlenet"])
def test_a_picture_is_that_of_the_built_network(tool: ModuleType, name: str) -> None:
    assert (tool.PICTURES / f"{name}.svg").read_text(encoding="utf-8") == tool.picture(name)
