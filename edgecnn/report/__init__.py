"""Measurements, cards and parity rows in; one HTML page or tables for the terminal out."""

from __future__ import annotations

from edgecnn.report.collect import Collected, collect
from edgecnn.report.network import network_svg
from edgecnn.report.page import render

__all__ = ["Collected", "collect", "network_svg", "render"]
