"""Time and memory of exporting every scheme in both formats, and what more photos cost.

Run: python tools/export_cost.py CKPT [--counts 100,1000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def run_export(checkpoint: Path, *options: str) -> dict[str, Any]:
    """Run the command line in a fresh process; return its JSON."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "edgecnn", "export", str(checkpoint), "--out", folder]
        done = subprocess.run(
            [*command, "--format", "tflite,onnx", "--json", *options],
            check=True,
            capture_output=True,
            text=True,
        )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print seconds and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--counts", default="100,1000")
    args = parser.parse_args()
    whole = run_export(args.checkpoint, "--all", "--calibration-count", "200")
    print(
        f"all schemes, both formats, 200 photos: {len(whole['artifacts'])} files in "
        f"{whole['seconds']:.1f} s, peak RSS {whole['peak_rss_mb']:.0f} MB"
    )
    for row in whole["artifacts"]:
        print(f"  {row['format']:6s} {row['scheme']:8s} {row['seconds']:6.1f} s")
    peaks = []
    for count in args.counts.split(","):
        part = run_export(args.checkpoint, "--int8", "--calibration-count", count)
        peaks.append(part["peak_rss_mb"])
        print(f"int8, {count} photos: {part['seconds']:.1f} s, peak RSS {peaks[-1]:.0f} MB")
    print(f"difference: {peaks[-1] - peaks[0]:.0f} MB")


if __name__ == "__main__":
    main()
