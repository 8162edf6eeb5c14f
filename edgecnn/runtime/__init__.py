"""Artefact files: reading, inspecting and running them.

On a board three lines are enough::

    from edgecnn.runtime import load
    model = load("out/photos-int8.tflite")
    print(model.predict("cat.jpg").top(3))
"""

from edgecnn.runtime.metadata import embed, read_metadata
from edgecnn.runtime.runners import RUNTIMES, Model, load

__all__ = ["RUNTIMES", "Model", "embed", "load", "read_metadata"]
