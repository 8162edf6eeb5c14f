from __future__ import annotations

import json

import pytest

from edgecnn.core.catalogue import read_catalogue
from edgecnn.targets.published import folder, published

NETWORKS = json.loads((folder() / "networks.json").read_text())


def test_each_network_is_one_of_the_zoo_and_does_its_work() -> None:
    macs = {(row["name"], row["size"]): row["macs"] for row in read_catalogue()["architectures"]}
    for name, network in NETWORKS.items():
        counted = sum(operation[1] for operation in network["operations"])
        assert counted == pytest.approx(macs[name, network["size"]], rel=0.02), name


def test_networks_and_latencies_belong_together() -> None:
    assert {row.network for row in published()} == set(NETWORKS)


def test_stored_work_is_what_the_zoo_builds() -> None:
    pytest.importorskip("tensorflow")
    from edgecnn import zoo
    from edgecnn.bench.work import work_of
    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.runtime import tflite as reader

    model = zoo.attach_head(zoo.build("mobilenet_v1", shape=(224, 224, 3)), 1000)
    work = work_of(reader.read(tflite.float32(freeze(model)), where="mobilenet_v1"))
    stored = [tuple(operation) for operation in NETWORKS["mobilenet_v1"]["operations"]]
    assert [(one.kind, one.macs, one.moved) for one in work] == stored
