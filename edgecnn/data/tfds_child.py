"""The child process that writes one data set of tensorflow-datasets as a folder of photos.

Run as ``python -m edgecnn.data.tfds_child NAME FOLDER``; prints {"problem": text or null}.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PARTS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


def main(arguments: Sequence[str]) -> int:
    """Write the folder; whatever goes wrong becomes the problem that is printed."""
    name, folder = arguments
    problem = None
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the package talks on stdout
            write(_prepared(name), Path(folder))
    # The package and its readers raise any kind; to the user all mean: not usable.
    except Exception as error:  # noqa: BLE001 - told above
        problem = (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")
    sys.stdout.write(json.dumps({"problem": problem}))
    return 0


def write(builder: Any, folder: Path) -> None:
    """Write a prepared builder's photos, undecoded, to FOLDER/PART/CLASS.

    A data set of one part is written as FOLDER/CLASS, and split by whoever opens it.

    Raises:
        ValueError: it has no image, or not one label.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    image = _key(features, tfds.features.Image)
    label = _key(features, tfds.features.ClassLabel)
    names = folder_names(features[label].names)
    sources = builder.as_data_source(decoders={image: tfds.decode.SkipDecoding()})
    known = {_PARTS[part]: source for part, source in sources.items() if part in _PARTS}
    if not known:
        raise ValueError(f"no train, validation or test part but {', '.join(sources)}")
    for part, source in known.items():
        base = folder / part if len(known) > 1 else folder
        for index in range(len(source)):
            row = source[index]
            photo = base / names[row[label]] / f"{index:06}{_suffix(row[image])}"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_bytes(row[image])


def folder_names(labels: Sequence[str]) -> list[str]:
    """Return a distinct, harmless folder name for each label."""
    names = [re.sub(r"[^\w ,()'&+.-]", "_", label).strip(" .") or "_" for label in labels]
    distinct = len({name.casefold() for name in names}) == len(names)
    return names if distinct else [f"{i:04} {name}" for i, name in enumerate(names)]


def _prepared(name: str) -> Any:
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, file_format="array_record")
    if not builder.is_prepared():
        _require_network()
        builder.download_and_prepare()
    return builder


def _require_network() -> None:
    """Fail at once without a connection: the package itself tries for three minutes."""
    if urllib.request.getproxies():
        return
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError:
        raise ConnectionError("no connection") from None


def _key(features: Any, kind: type) -> str:
    found = [key for key, feature in features.items() if isinstance(feature, kind)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} fields of kind {kind.__name__} instead of one")
    return str(found[0])


def _suffix(data: bytes) -> str:
    return ".png" if data.startswith(b"\x89PNG") else ".jpg"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
