"""What a command hands back, as machines and people get it."""

import io
import json

import pytest
from rich.table import Table

from edgecnn.cli.outcome import Outcome, one_line, show
from edgecnn.core.image import Preprocessing


def printed(outcome: Outcome, *, as_json: bool) -> str:
    out = io.StringIO()
    show(outcome, as_json=as_json, out=out)
    return out.getvalue()


def test_json_is_one_line_and_the_view_is_not_made() -> None:
    def view() -> list[object]:
        raise AssertionError

    outcome = Outcome({"how": Preprocessing(height=2, width=3), "name": "größe"}, view)
    text = printed(outcome, as_json=True)
    assert text.count("\n") == 1
    assert json.loads(text)["how"]["width"] == 3
    assert "größe" in text


def test_json_never_holds_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        printed(Outcome({"x": float("nan")}, list), as_json=True)


def test_people_read_text_and_tables_uncut() -> None:
    table = Table("a column with a rather long name", "b" * 60)
    text = printed(Outcome({}, lambda: ["first", table]), as_json=False)
    assert text.startswith("first\n")
    assert "b" * 60 in text


def test_names_in_files_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in printed(Outcome({}, lambda: ["a\x1b[2Jb"]), as_json=False)
    table = Table("class")
    table.add_row("a\x1b[2Jb")
    assert "\x1b" not in printed(Outcome({}, lambda: [table]), as_json=False)
    assert one_line("a\nb\x1b[0m\tc") == "a b [0m c"


def test_why_the_exit_code_is_not_zero_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(Outcome({}, lambda: ["table"], 1, "check failed: agreement"), as_json=False)
    assert text == "table\n"
    assert capsys.readouterr().err == "check failed: agreement\n"


def test_a_narrow_terminal_gets_rows_as_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    table = Table("file")
    for name in ("median", "p90"):
        table.add_column(name, no_wrap=True)
    table.add_row("a-rather-long-name-int8.tflite", "1.23 ms", "4.56 ms")
    table.add_row("b", "7.89 ms", "9.87 ms")
    texts = {}
    for width in (30, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        out = Terminal()
        show(Outcome({}, lambda: [table]), as_json=False, out=out)
        texts[width] = out.getvalue()
    assert texts[30].startswith(
        "  file  a-rather-long-name-int8.tflite\nmedian  1.23 ms\n   p90  4.56 ms\n\n  file  b\n"
    )
    assert "1.23 ms" in texts[80]
    assert len(texts[80].splitlines()) < 8
