"""The shipped catalogue against the builders."""

from __future__ import annotations

import keras
import pytest

from edgecnn import zoo
from edgecnn.core.catalogue import published, read_catalogue

pytestmark = pytest.mark.tensorflow

ROWS = {row["name"]: row for row in read_catalogue()["architectures"]}


@pytest.mark.parametrize("name", ROWS)
def test_figures_are_those_of_the_built_network(name: str) -> None:
    row = ROWS[name]
    # Shapes are all that counts: no value is drawn for a hundred million weights.
    with keras.StatelessScope(initialize_variables=False):
        body = zoo.build(row["arch"], shape=(row["size"], row["size"], 3), alpha=row["alpha"])
        cost = zoo.cost(zoo.attach_head(body, 1000))
    assert (cost.params, cost.macs) == (row["params"], row["macs"])
    assert row["size"] == zoo.ARCHITECTURES[row["arch"]].default_size


def test_every_architecture_is_listed_under_its_own_name() -> None:
    assert {row["arch"] for row in ROWS.values()} == set(zoo.ARCHITECTURES)
    assert set(zoo.ARCHITECTURES) <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_listed_weights_are_those_that_can_be_asked_for(name: str) -> None:
    listed = {weights["source"] for weights in ROWS[name]["weights"]}
    assert listed == set(zoo.sources(ROWS[name]["arch"])) - {"none"}


@pytest.mark.parametrize("name", ROWS)
def test_weights_tied_to_a_size_are_for_the_rows_own(name: str) -> None:
    weights = published(ROWS[name]["arch"]).get(ROWS[name]["alpha"])
    assert weights is None or weights.only_at in (0, ROWS[name]["size"])


def test_recipes_name_architectures_that_exist() -> None:
    assert {recipe["train"]["arch"] for recipe in read_catalogue()["recipes"]} <= set(
        zoo.ARCHITECTURES
    )
