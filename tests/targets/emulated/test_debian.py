"""Where Debian comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.targets.emulated import debian


def test_the_mirror_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(debian.URL_VARIABLE, "http://127.0.0.1:9/debian")
    assert debian.source() == "http://127.0.0.1:9/debian"


def test_a_system_whose_apt_knows_no_debian_is_told_what_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(debian.URL_VARIABLE, raising=False)
    program = tmp_path / "apt-get"
    program.write_text("#!/bin/sh\necho http://127.0.0.1:9/ubuntu/\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=debian.URL_VARIABLE):
        debian.source()
    program.write_text("#!/bin/sh\necho http://127.0.0.1:9/debian/\n")
    assert debian.source() == "http://127.0.0.1:9/debian"
