"""Data sets of tensorflow-datasets, turned once into an ordinary folder of photos."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.progress import QUIET, say
from edgecnn.data.dataset import Given
from edgecnn.data.download import cache_folder
from edgecnn.data.folder import read_folder


def tfds(name: str, *, cache: Path | None = None) -> Given:
    """Return a data set of images with one label each.

    Its package runs in a child process and never in this one: some of its data sets load
    TensorFlow. The photos are kept as a folder, so the package is needed once only.

    Args:
        name: As tensorflow-datasets has it: "tf_flowers", "beans:0.1.0".
        cache: Where the folder is made.

    Raises:
        MissingExtra: tensorflow-datasets is not installed.
        InputError: no such data set, no connection, or one without images or labels.
    """
    where = f"tfds:{name}"
    if not re.fullmatch(r"\w[\w./:*+-]*", name):
        raise InputError("no data set's name", where=where, fix="write tfds:NAME")
    folder = (cache or cache_folder()) / "tfds" / re.sub(r"[^\w.-]", "_", name)
    if not folder.is_dir():
        if find_spec("tensorflow_datasets") is None:
            raise MissingExtra(f"the data set {where}", "tfds")
        say(f"fetching {where}; this happens once")
        with files.new_folder(folder) as new:
            _fill(name, new, where)
    given = read_folder(folder)
    return Given(source=where, classes=given.classes, parts=given.parts)


def _fill(name: str, folder: Path, where: str) -> None:
    shown = sys.stderr.isatty() and not QUIET.get()
    child = subprocess.run(
        [sys.executable, "-m", "edgecnn.data.tfds_child", name, str(folder)],
        stdout=subprocess.PIPE,
        stderr=None if shown else subprocess.DEVNULL,
        check=False,
    )
    try:
        problem = json.loads(child.stdout)["problem"]
    except (ValueError, KeyError, TypeError):
        problem = f"a child process that ended with code {child.returncode}"
    if problem:
        fix = "check the name, go on-line and try again, or use a folder of photos"
        raise InputError(problem, where=where, fix=fix)
