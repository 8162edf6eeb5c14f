from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.core import schema
from edgecnn.core.artifact import Artifact, FileMetadata
from edgecnn.core.checkpoint import Card
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.measurement import Latency, Measurement, PredictedMs, Prediction
from edgecnn.core.normalization import Normalization
from edgecnn.core.parity import Parity

numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line a kind of type
    """Any value that a field of this type may hold."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in _CONSTRAINED:
        return _CONSTRAINED[kind]()
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if k is type(None) else of(k) for k in inner])
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(of(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(of, inner))
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), of(inner[1]), max_size=3)
    if dataclasses.is_dataclass(kind):
        return built(kind)
    return {
        int: st.integers(),
        float: numbers,
        bool: st.booleans(),
        str: st.text(max_size=8),
        Any: json_values,
    }[kind]


def built(kind: Any, **given_fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {f.name: of(hints[f.name]) for f in dataclasses.fields(kind)} | given_fields
    return st.builds(kind, **fields)


def latencies() -> st.SearchStrategy[Latency]:
    positive = st.floats(1e-6, 1e6)
    return built(Latency, samples_ms=st.lists(positive, min_size=1, max_size=5).map(tuple))


def measurements() -> st.SearchStrategy[Measurement]:
    reasons = st.lists(st.text(max_size=5), max_size=2).map(tuple)
    nothing = st.none()
    plain = built(
        Measurement,
        valid=st.just(True),
        invalid_reasons=st.just(()),
        predicted_ms=nothing,
        prediction=nothing,
    )
    measured = st.builds(
        lambda row, why: dataclasses.replace(row, valid=not why, invalid_reasons=why),
        plain,
        reasons,
    )
    predicted = st.builds(
        lambda row, times, about: dataclasses.replace(
            row,
            latency_ms=None,
            predicted_ms=PredictedMs(**dict(zip(("low", "mid", "high"), times, strict=True))),
            prediction=about,
            valid=False,
            invalid_reasons=("a prediction",),
        ),
        plain,
        st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3).map(sorted),
        built(Prediction),
    )
    return measured | predicted


_CONSTRAINED: dict[Any, Any] = {
    Preprocessing: lambda: built(
        Preprocessing,
        height=st.integers(1, 4096),
        width=st.integers(1, 4096),
        channels=st.sampled_from([1, 3]),
        crop=st.floats(0.01, 1),
    ),
    Normalization: lambda: st.builds(
        lambda pairs: Normalization(*zip(*pairs, strict=True)),
        st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=3),
    ),
    Latency: latencies,
    Measurement: measurements,
    Card: lambda: built(
        Card, classes=st.lists(st.text(max_size=5), min_size=2, max_size=4, unique=True).map(tuple)
    ),
}

ARTEFACTS = (Card, FileMetadata, Measurement, Parity)


@pytest.mark.parametrize("kind", ARTEFACTS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_artefact_survives_its_json(kind: Any, data: st.DataObject) -> None:
    value = data.draw(of(kind))
    text = schema.dumps(value)
    assert schema.loads(kind, text, where="x.json") == value
    assert json.loads(text)["schema"] == kind.SCHEMA


@pytest.mark.parametrize("kind", ARTEFACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_json_is_read_or_refused_in_one_line(kind: Any, data: st.DataObject) -> None:
    tree = json.loads(schema.dumps(data.draw(of(kind))))
    at = tree
    while isinstance(at, (dict, list)) and at:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], (dict, list)) or data.draw(st.booleans()):
            at[key] = data.draw(json_values)
            break
        at = at[key]
    try:
        schema.decode(kind, tree, where="x.json")
    except InputError as error:
        assert "x.json" in str(error)  # noqa: PT017 - most changes are refused, some are harmless


@pytest.mark.parametrize("kind", ARTEFACTS)
@given(data=json_values)
def test_any_other_json_is_refused(kind: Any, data: Any) -> None:
    with pytest.raises(InputError):
        schema.decode(kind, data, where="x.json")


@dataclasses.dataclass(frozen=True)
class Cup:
    SCHEMA: ClassVar[str] = "edgecnn/cup/2"

    volume_ml: float
    handles: int = 1
    owner: str | None = None


def read(text: str | bytes) -> Cup:
    return schema.loads(Cup, text, where="cup.json")


def test_a_missing_optional_key_gets_its_default() -> None:
    assert read('{"schema": "edgecnn/cup/2", "volume_ml": 250}') == Cup(250.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ('{"schema": "edgecnn/cup/1", "volume_ml": 1}', "schema 'edgecnn/cup/1' where"),
        ('{"volume_ml": 1}', "schema None where"),
        ('{"schema": "edgecnn/cup/2"}', "has no volume_ml"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1, "lid": 2}', "unknown lid"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": "1"}', "not a number"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": true}', "not a number"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": NaN}', "not a number"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1e999}', "not a number"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1' + "0" * 400 + "}", "too large"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1, "handles": 1.5}', "not int"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1, "handles": true}', "whole number"),
        ('{"schema": "edgecnn/cup/2", "volume_ml": 1, "owner": 3}', "not str"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an object"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str | bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert words in str(caught.value)
    assert "in cup.json: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        schema.dumps(Cup(value))


def test_names_in_another_encoding_survive(tmp_path: Path) -> None:
    cup = Cup(1.0, owner=b"caf\xe9".decode("utf-8", "surrogateescape"))
    path = tmp_path / "cup.json"
    path.write_bytes(schema.dumps(cup).encode())
    assert schema.read(Cup, path) == cup


def test_letters_stay_readable() -> None:
    assert "Übergrößenträger" in schema.dumps(Cup(1.0, owner="Übergrößenträger"))


def test_paths_and_plain_values_are_encoded() -> None:
    assert schema.encode({"a": Path("b/c"), 1: (True, None)}) == {"a": "b/c", "1": [True, None]}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(metadata=of(FileMetadata))
def test_an_artifact_prints_the_keys_of_the_contract(metadata: FileMetadata) -> None:
    made = Artifact(path=Path("a.tflite"), metadata=metadata, bytes=1, sha256="00", seconds=0.5)
    keys = "path format scheme io bytes sha256 seconds top1 float_top1 agreement_pct calibration"
    assert {*keys.split(), "warnings"} <= set(made.to_row())
    assert json.loads(schema.dumps(made.to_row()))["format"] == metadata.format
