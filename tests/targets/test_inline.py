from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecnn.targets.inline import single_file

ROOT = Path(__file__).parents[2]
TEXT = single_file("edgecnn.targets.on_board")


def test_the_file_imports_nothing_of_ours() -> None:
    imports = [n for n in ast.walk(ast.parse(TEXT)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    named = {alias.name for n in imports for alias in n.names}
    named |= {n.module or "" for n in imports if isinstance(n, ast.ImportFrom)}
    assert not {name for name in named if name.split(".")[0] == "edgecnn"}
    third_party = {"numpy", "PIL", "Image", "ImageOps", "UnidentifiedImageError"}
    assert third_party & named == third_party


def test_the_file_has_our_functions_letter_by_letter() -> None:
    ours = (ROOT / "edgecnn/core/image.py").read_text()
    for node in ast.parse(ours).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("_geometry", "decode", "_cubic"):
            assert ast.unparse(node) in {ast.unparse(n) for n in ast.parse(TEXT).body}


def test_python_3_9_reads_the_file() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 9))
    keywords = [
        (ast.unparse(call.func), word.arg)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for word in call.keywords
    ]
    assert ("dataclasses.dataclass", "frozen") in keywords
    assert ("dataclasses.dataclass", "kw_only") not in keywords
    assert ("zip", "strict") not in keywords
    assert "UTC" not in {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Match)]


def test_what_is_not_used_stays_at_home() -> None:
    made = {n.name for n in ast.parse(TEXT).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    assert {"Model", "prepare", "Latency", "load_litert"} <= made
    assert not {"as_photo", "Measurement", "MissingExtra", "read_protocol"} & made


@pytest.mark.parametrize(
    ("module", "what"),
    [("edgecnn.bench.measure", "module"), ("edgecnn.no_such", "no module")],
)
def test_what_cannot_be_one_file_is_refused(module: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        single_file(module)


def test_boards_side_by_side_get_the_same_file() -> None:
    from edgecnn.targets import inline

    inline._text_of_module.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(single_file, ["edgecnn.targets.on_board"] * 16))
    assert texts == [TEXT] * 16
