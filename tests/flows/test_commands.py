"""The commands on a report are those that would make it again."""

import dataclasses
import shlex

from edgecnn import cli
from edgecnn.core.checkpoint import Card, CompressedLayer, DataManifest, Origin
from edgecnn.core.image import Preprocessing
from edgecnn.core.normalization import same_for_all
from edgecnn.core.parity import Parity, ParityRow
from edgecnn.flows.commands import TRAIN_OPTIONS, commands_behind
from edgecnn.report import Collected
from edgecnn.report.collect import ArtifactRow
from tests.report.samples import measurement

PHOTOS = DataManifest(
    source="/my photos",
    fingerprint="f",
    seed=0,
    split=(75.0, 15.0, 10.0),
    n_train=6,
    n_val=2,
    n_test=2,
    per_class=(5, 5),
)
CARD = Card(
    name="run",
    task="classify",
    classes=("a", "b"),
    arch="ds_cnn",
    alpha=1.0,
    preprocessing=Preprocessing(height=8, width=8),
    normalization=same_for_all(1.0, 0.0),
    weights="none",
    params=1,
    macs=1,
    recipe={"arch": "ds_cnn", "weights": "none", "size": 8, "seed": 3, "ema": 0.9},
    data=PHOTOS,
    phases=(),
    history=(),
    scores=(),
    seconds=1.0,
    peak_rss_mb=1.0,
    model_sha256="0",
    versions={},
)
FILE = ArtifactRow(
    path="out/run-int8.tflite",
    format="tflite",
    scheme="int8",
    io="int8",
    bytes=1,
    sha256="1",
    seconds=1.0,
    top1=None,
    float_top1=None,
    agreement_pct=None,
    calibration=None,
    warnings=(),
)
CHECKED = ParityRow(
    path="out/run-int8.tflite",
    sha256="1",
    n=1,
    top1=None,
    agreement_pct=100.0,
    top1_drop_points=None,
    max_abs_diff=0.0,
    mean_kl=0.0,
    flips=(),
    checks=(),
)
PARITY = Parity(reference="run", data="/my photos", rows=(CHECKED,), pairs=(), passed=True)


def test_each_line_is_one_that_the_program_takes() -> None:
    found = Collected(cards=(CARD,), artifacts=(FILE,), parities=(PARITY,))
    lines = commands_behind(found)
    assert [line.split()[1] for line in lines] == ["train", "export", "verify"]
    for line in lines:
        _, name, *words = shlex.split(line)
        assert cli.build_parser(name).parse_all(words)


def test_a_line_repeats_what_the_card_says() -> None:
    (line,) = commands_behind(Collected(cards=(CARD,)))
    assert line == (
        "edgecnn train '/my photos' --arch ds_cnn --size 8 --weights none --seed 3 "
        "--split 75/15/10 --out run"
    )


def test_a_line_names_the_checkpoints_that_a_run_began_with_and_learned_from() -> None:
    kernel = CompressedLayer(
        layer="a", kernel="kernel", weights=4, zeros=2, distinct=3, spared=None
    )
    card = dataclasses.replace(
        CARD,
        recipe={**CARD.recipe, "prune": 0.5, "cluster": 0, "distill_weight": 0.7},
        base=Origin(name="before", sha256="1"),
        teacher=Origin(name="large", sha256="2"),
        compression=(kernel,),
    )
    (line,) = commands_behind(Collected(cards=(card,)))
    assert line == (
        "edgecnn train '/my photos' --seed 3 --distill-weight 0.7 --prune 0.5 --cluster 0 "
        "--teacher large --from before --out run"
    )
    _, name, *words = shlex.split(line)
    assert cli.build_parser(name).parse_all(words)


def test_files_know_how_they_were_asked_for() -> None:
    (line,) = commands_behind(Collected(artifacts=(FILE,)))
    assert line == "edgecnn export CKPT --int8 --format tflite --io int8 --out out"


def test_files_compared_with_each_other_name_no_checkpoint() -> None:
    parity = dataclasses.replace(PARITY, reference="out/run-int8.tflite")
    (line,) = commands_behind(Collected(parities=(parity,)))
    assert "--against" not in line


def test_train_has_an_option_for_each_field_that_is_repeated() -> None:
    options = cli.build_parser("train")._option_string_actions
    assert {f"--{name.replace('_', '-')}" for name in TRAIN_OPTIONS} <= set(options)


def test_the_way_that_rows_were_measured_is_in_the_command() -> None:
    rows = [
        dataclasses.replace(measurement(), protocol=protocol)
        for protocol in ({}, {"delegate": "none", "batch": 8})
    ]
    line = commands_behind(Collected(measurements=tuple(rows)))[-1]
    assert line.endswith("--threads 1 --delegate none --batch 1,8")
