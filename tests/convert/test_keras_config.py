from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.convert.keras_config import checked
from edgecnn.core.errors import InputError

WHERE = Path("model.keras")


def layer(kind: str, name: str = "it", module: str | None = "keras.layers", **config: object):
    entry = {"class_name": kind, "config": {"name": name, **config}, "name": name}
    return entry if module is None else {**entry, "module": module, "registered_name": None}


def model(*layers: object, kind: str = "Sequential", **more: object) -> str:
    return json.dumps({"class_name": kind, "config": {"layers": list(layers)}, **more})


def function(name: object, module: str = "builtins"):
    return {"class_name": "function", "config": name, "module": module, "registered_name": name}


def test_kerass_own_layers_pass_as_they_are() -> None:
    text = model(layer("InputLayer"), layer("Conv2D", activation="relu"), layer("Dense"))
    assert json.loads(checked(text, where=WHERE)) == json.loads(text)


def test_what_keras_2_wrote_passes_too() -> None:
    initializer = {"class_name": "GlorotUniform", "config": {"seed": None}}
    checked(model(layer("Conv2D", module=None, kernel_initializer=initializer)), where=WHERE)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (layer("Lambda", "double", function={"class_name": "__lambda__"}), r"'double' \(Lambda\)"),
        (layer("TFOpLambda", "tf.math.add", module=None), r"'tf.math.add' \(TFOpLambda\)"),
        (layer("Attention2", "mine", registered_name="mypkg>Attention2"), r"'mine' \(Attention2\)"),
        (layer("TFSMLayer", "outside", filepath="/tmp/x"), r"'outside' \(TFSMLayer\)"),
        (layer("StringLookup", "words", vocabulary="/etc/passwd"), r"'words' \(StringLookup\)"),
        (layer("TorchModuleWrapper", "torch"), r"\(TorchModuleWrapper\)"),
        (layer("Conv2D", "c", module="os"), r"'c' \(Conv2D\)"),
        (layer("Dense", "d", activation=function("system", "os")), r"'d' \(function 'system'\)"),
        (layer("Dense", "d", activation=function("eval")), r"'d' \(function 'eval'\)"),
        (layer("Dense", "d", kernel_initializer=layer("Lambda", "w")), r"'w' \(Lambda\)"),
        (layer("Sequential", "inner", layers=[layer("Lambda", "deep")]), r"'deep' \(Lambda\)"),
        (layer(["Dense"], "odd"), "'odd'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_code_and_custom_classes_are_refused_by_name(entry, said) -> None:
    with pytest.raises(InputError, match=said):
        checked(model(layer("Dense"), entry), where=WHERE)


def test_a_custom_model_class_is_named() -> None:
    with pytest.raises(InputError, match="custom class 'MyModel'"):
        checked(model(kind="MyModel"), where=WHERE)


def test_a_registered_name_of_another_package_is_custom_whatever_its_class_is_called() -> None:
    entry = layer("Dense", "d") | {"registered_name": "evil>Dense"}
    with pytest.raises(InputError, match=r"'d' \(Dense\)"):
        checked(model(entry), where=WHERE)


def test_arithmetic_on_tensors_is_no_code() -> None:
    checked(model(layer("Add", module="keras.src.ops.numpy", name="sum")), where=WHERE)


def test_mixed_precision_and_whole_pixels_become_floats() -> None:
    policy = {"class_name": "DTypePolicy", "module": "keras", "config": {"name": "mixed_float16"}}
    text = model(layer("InputLayer", "image", dtype="uint8"), layer("Dense", dtype=policy))
    first, second = json.loads(checked(text, where=WHERE))["config"]["layers"]
    assert first["config"]["dtype"] == "float32"
    assert second["config"]["dtype"]["config"]["name"] == "float32"


def test_training_is_forgotten() -> None:
    text = model(layer("Dense"), compile_config={"loss": layer("Lambda", "loss")})
    assert "compile_config" not in json.loads(checked(text, where=WHERE))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"class_name": 3}', "NaN"])
def test_what_is_no_description_is_one_line(text) -> None:
    with pytest.raises(InputError):
        checked(text, where=WHERE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class_name", "config", "module", "name", "layers", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_description_is_a_crash(content) -> None:
    text = json.dumps({"class_name": "Functional", "config": content})
    with contextlib.suppress(InputError):
        checked(text, where=WHERE)


@given(st.text(min_size=1, max_size=12))
def test_only_known_names_pass(kind) -> None:
    from edgecnn.convert import keras_config

    known = keras_config._MODELS | keras_config._LAYERS | keras_config._MENTIONED
    if kind in known | keras_config._VALUES | {"function"}:
        return
    with pytest.raises(InputError):
        checked(model(layer(kind)), where=WHERE)
