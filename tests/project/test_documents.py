"""What the documents tell people to type is real."""

import re
import shlex
from pathlib import Path

import pytest

from edgecnn import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def command_lines(page: Path) -> list[list[str]]:
    """Return the words of each `edgecnn` line in a page's blocks for the shell."""
    blocks = [text for language, text in FENCE.findall(page.read_text()) if language == "sh"]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        shlex.split(line, comments=True) for line in lines if line.strip().startswith("edgecnn ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_line_is_one_that_the_program_takes(page: Path) -> None:
    for _, name, *words in command_lines(page):
        if not name.startswith("-"):
            assert cli.build_parser(name).parse_all(words)


def test_the_readme_shows_the_whole_line() -> None:
    shown = {words[1] for words in command_lines(ROOT / "README.md")}
    assert {"train", "export", "verify", "bench", "report", "predict"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_block_of_code_names_its_language(page: Path) -> None:
    if page.name != "cli.md":
        assert all(language for language, _ in FENCE.findall(page.read_text()))


def test_the_make_targets_are_those_that_the_documents_name() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"setup", "demo", "test", "lint", "bench", "clean"} <= targets
    named = {n for page in PAGES for n in re.findall(r"`?make (\w+)`?", page.read_text())}
    assert named & {"setup", "demo", "test"}
    assert {name for name in named if name in {"setup", "demo", "test", "lint", "bench"}} <= targets
