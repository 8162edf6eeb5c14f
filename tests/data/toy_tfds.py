"""Prepare a toy data set with tensorflow-datasets, and write it as a folder: argv[1]/out."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from edgecnn.data.tfds_child import write


def _photo(number: int) -> io.BytesIO:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


class Toy(tfds.core.GeneratorBasedBuilder):
    """Two classes, a train and a test part."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["a/b", "c"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(0, 10), "test": self._generate_examples(10, 14)}

    def _generate_examples(self, first: int, last: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in range(first, last):
            yield number, {"image": _photo(number), "label": number % 2}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    toy = Toy(data_dir=folder, file_format="array_record")
    toy.download_and_prepare()
    write(toy, folder / "out")
    sys.stdout.write(f"\n{'tensorflow' in sys.modules}\n")
