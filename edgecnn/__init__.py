"""From a folder of photos to a small, fast, verified image model on a device."""

__version__ = "0.1.0"
