from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.core.catalogue import INT8, Published, published, published_files, read_catalogue

CATALOGUE = read_catalogue()


def test_rows_have_the_keys_of_the_contract() -> None:
    keys = {"name", "family", "params", "macs", "size", "weights", "int8", "int8_notes"}
    assert all(keys <= set(row) for row in CATALOGUE["architectures"])
    weights = [w for row in CATALOGUE["architectures"] for w in row["weights"]]
    assert all({"source", "top1", "licence", "available"} <= set(w) for w in weights)
    assert all(0.4 < w["top1"] < 1 and w["top1_source"] for w in weights)


def test_catalogue_is_plain_json() -> None:
    assert json.loads(json.dumps(CATALOGUE)) == CATALOGUE


def test_names_are_distinct_across_the_whole_catalogue() -> None:
    names = [row["name"] for rows in CATALOGUE.values() for row in rows]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("device", CATALOGUE["devices"], ids=lambda device: device["name"])
def test_every_table_of_device_facts_names_its_source(device: dict) -> None:
    assert device["title"]
    assert device["summary"]
    tables = [value for value in device.values() if isinstance(value, dict)]
    assert tables
    assert all(table["source"] for table in tables)


@pytest.mark.parametrize("recipe", CATALOGUE["recipes"], ids=lambda recipe: recipe["name"])
def test_every_recipe_says_what_it_is_for_and_how_to_run_it(recipe: dict) -> None:
    assert recipe["summary"]
    assert recipe["train"]["arch"]
    assert "# Run: edgecnn train" in Path(recipe["path"]).read_text()


def test_a_measured_recipe_shows_what_it_reached() -> None:
    measured = [recipe["measured"] for recipe in CATALOGUE["recipes"] if "measured" in recipe]
    assert measured
    assert all(
        0 < row["top1"] <= 1 and row["n"] > 0 and row["train_seconds"] > 0 for row in measured
    )


def test_downloaded_weights_are_on_disk_only_once_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))

    def xception() -> dict:
        rows = {row["name"]: row for row in read_catalogue()["architectures"]}
        return rows["xception"]["weights"][0]

    assert xception()["available"]
    assert not xception()["on_disk"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "xception_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert xception()["on_disk"]


def test_what_makes_int8_hard_is_flagged_with_the_reason() -> None:
    for row in CATALOGUE["architectures"]:
        assert row["int8"] in INT8[:-1]
        hard = ("squeeze-excitation:", "swish:", "local response normalization runs")
        if any(reason in row["int8_notes"] for reason in hard):
            assert row["int8"] != "good", row["name"]


ENTRIES = {
    f"{arch} {alpha:g}": entry
    for arch in sorted({row["arch"] for row in CATALOGUE["architectures"]})
    for alpha, entry in published(arch).items()
}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_download_is_hashed_or_says_that_it_cannot_be(name: str) -> None:
    entry = ENTRIES[name]
    assert isinstance(entry, Published)
    assert entry.package or entry.url.startswith("https://")
    kind, _, digits = entry.hash.partition(":")
    assert kind in ("md5", "sha256", "announced", "")
    assert len(digits) >= 8 or kind in ("announced", "")
    assert bool(entry.hash) != ("no hash of it was published" in entry.how)


def test_file_is_the_one_trained_at_the_nearest_size() -> None:
    weights = published("mobilenet_v2")[0.35]
    assert weights.at(100).file.endswith("_0.35_96.h5")
    assert weights.at(500).file.endswith("_0.35_224.h5")
    assert published("mobilenet_v2")[1.4].at(96).file.endswith("_1.4_224.h5")


def test_head_tied_to_a_size_is_left_out_elsewhere() -> None:
    weights = published("vgg16")[1.0]
    assert weights.at(224) == weights
    assert weights.at(160).file == "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert weights.at(160).hash != weights.hash


def test_published_files_are_known_by_name() -> None:
    assert "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5" in published_files("vgg16")
    assert "mobilenet_2_5_160_tf.h5" in published_files("mobilenet_v1")
    assert published_files("lenet5") == frozenset()


def test_reading_it_imports_no_tensorflow() -> None:
    code = (
        "import sys; from edgecnn.core.catalogue import read_catalogue; read_catalogue();"
        "sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
