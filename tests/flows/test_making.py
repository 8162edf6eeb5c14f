"""`edgecnn.build`: a name to a classifier, with or without weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.core.errors import InputError

pytestmark = pytest.mark.tensorflow


def test_classifier_takes_pixels_and_gives_probabilities() -> None:
    model = edgecnn.build("ds_cnn", classes=3, size=32, alpha=0.25)
    answer = np.asarray(model(np.full((2, 32, 32, 3), 200.0)))
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-6)


def test_weights_of_a_file_fill_all_layers_that_fit(tmp_path: Path) -> None:
    first = edgecnn.build("ds_cnn", classes=3, size=32, alpha=0.25)
    first.save(tmp_path / "first.keras")
    path = str(tmp_path / "first.keras")
    same = edgecnn.build("ds_cnn", classes=3, size=32, alpha=0.25, weights=path)
    for ours, theirs in zip(same.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = edgecnn.build("ds_cnn", classes=5, size=32, alpha=0.25, weights=path)
    assert other.output_shape == (None, 5)
    np.testing.assert_array_equal(other.get_weights()[0], first.get_weights()[0])


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    edgecnn.build("ds_cnn", classes=3, size=32, alpha=0.25).save(tmp_path / "a.keras")
    with pytest.raises(InputError, match="layer stem_conv: file has"):
        edgecnn.build("ds_cnn", classes=3, size=32, weights=str(tmp_path / "a.keras"))


def test_grey_pixels_do_not_fit_weights_of_colour(tmp_path: Path) -> None:
    edgecnn.build("ds_cnn", classes=3, size=32, alpha=0.25).save(tmp_path / "a.keras")
    path = str(tmp_path / "a.keras")
    with pytest.raises(InputError, match=r"layer stem_conv: file has \(3, 3, 3, 8\), model has"):
        edgecnn.build("ds_cnn", classes=3, size=32, channels=1, alpha=0.25, weights=path)
