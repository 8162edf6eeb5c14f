from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.core.memory import STATUS, peak_rss_mb

ASK = "from edgecnn.core.memory import peak_rss_mb; print(peak_rss_mb())"


@pytest.mark.skipif(not STATUS.is_file(), reason="not Linux")
def test_a_process_does_not_inherit_the_size_of_the_one_that_started_it() -> None:
    ballast = b"x" * 400_000_000
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True)
    assert 0 < float(done.stdout) < 100
    del ballast
    assert peak_rss_mb() > 400


def test_where_the_system_says_nothing_the_resource_counter_does(tmp_path: Path) -> None:
    other = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert peak_rss_mb(tmp_path / "none") == pytest.approx(other, rel=0.1)
