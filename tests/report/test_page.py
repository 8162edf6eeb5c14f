from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.core.parity import Flip
from edgecnn.report import Collected, render
from tests.report.browser import Browser, chromium
from tests.report.samples import artifact, card, measurement, parity

COMMANDS = ("edgecnn train photos/ --out run/", "edgecnn bench out/* --out results/")
PAYLOADS = (
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "</title></style>&amp;",
)


def hostile(payload: str) -> Collected:
    """Put a payload everywhere a file that somebody else made can put one."""
    row = dataclasses.replace(
        measurement(reasons=(payload,)),
        target=payload,
        runtime=payload,
        delegate=payload,
        machine={"cpu": payload, payload: 1.0, "os": [payload]},
    )
    first = parity().rows[3]
    flips = tuple(
        dataclasses.replace(f, image=payload, label=payload, answer=payload, thumbnail=payload)
        for f in first.flips
    )
    check = dataclasses.replace(first.checks[0], name=payload, detail=payload)
    changed = dataclasses.replace(first, flips=flips, checks=(check,))
    return Collected(
        cards=(dataclasses.replace(card((payload, *map(str, range(4)))), name=payload),),
        artifacts=(dataclasses.replace(artifact(row.model, 9, 0.5, 50.0), warnings=(payload,)),),
        parities=(dataclasses.replace(parity(), data=payload, rows=(changed,)),),
        measurements=(row,),
        notes=(payload,),
    )


def test_everything_is_on_the_page(collected: Collected) -> None:
    page = render(collected, commands=COMMANDS)
    for row in collected.measurements:
        assert row.model in page
    for words in (
        "All files",
        "What accuracy costs",
        "run by run",
        "Does each file answer",
        "The model:",
        "AMD EPYC",
        "edgecnn train photos/",
        "How to read this page",
        "passed over",
        "busy machine: other processes used 31 % of the cores",
    ):
        assert words in page


def test_the_page_asks_nobody_for_anything(collected: Collected) -> None:
    page = render(collected)
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert not re.findall(r"@import|url\(", page)
    assert "default-src 'none'" in html.unescape(page)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_from_files_stay_text(payload: str) -> None:
    page = render(hostile(payload), commands=(payload,))
    assert payload not in page


@pytest.mark.parametrize("thumbnail", ['"><script>', "A" * 50_000, "AA AA", "data:text/html,x", ""])
def test_only_small_plain_base64_becomes_a_picture(thumbnail: str) -> None:
    first = parity().rows[1]
    flips: tuple[Flip, ...] = (dataclasses.replace(first.flips[0], thumbnail=thumbnail),)
    one = dataclasses.replace(parity(), rows=(dataclasses.replace(first, flips=flips),))
    page = render(Collected(parities=(one,)))
    assert "<img" not in page
    assert "no picture kept" in page


@pytest.mark.parametrize("name", ["cards", "artifacts", "parities", "measurements"])
def test_each_kind_alone_makes_a_page(collected: Collected, name: str) -> None:
    page = render(Collected(**{name: getattr(collected, name)}))
    assert page.startswith("<!doctype html>")
    assert "<h1>" in page


def test_rows_without_any_number_make_a_page() -> None:
    lost = dataclasses.replace(
        measurement(),
        latency_ms=None,
        memory_mb=None,
        preprocess_ms=None,
        machine={},
        valid=False,
        invalid_reasons=("crashed",),
    )
    assert "crashed" in render(Collected(measurements=(lost,)))


def test_many_classes_get_a_list_of_mistakes() -> None:
    page = render(Collected(cards=(card(tuple(f"class{i}" for i in range(60))),)))
    assert "Most frequent mistakes" in page
    assert "20 better ones not shown" in page


def test_a_model_that_was_never_scored_has_a_page() -> None:
    bare = dataclasses.replace(card(), scores=(), history=(), phases=(), data=None, weights="none")
    page = render(Collected(cards=(bare,)))
    assert "was never scored" in page
    assert "from scratch" in page


def test_a_single_epoch_can_be_drawn() -> None:
    one = dataclasses.replace(card(), history=card().history[:1])
    assert "over 1 epoch" in render(Collected(cards=(one,)))


def test_the_same_results_give_the_same_page(collected: Collected) -> None:
    assert render(collected) == render(collected)


# In a real browser.

_ROWS = "[...document.querySelectorAll('.sortable tbody tr')]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, collected: Collected) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(collected, commands=COMMANDS), encoding="utf-8")
    return path


def column(browser: Browser, index: int) -> list[str]:
    values: list[str] = browser.run(f"{_ROWS}.map(row => row.cells[{index}].dataset.value)")
    return values


@pytest.mark.browser
def test_it_renders_in_silence_and_alone(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.complaints() == []
    assert browser.requests() == []


@pytest.mark.browser
def test_every_row_is_shown(browser: Browser, page: Path, collected: Collected) -> None:
    browser.open(page)
    seen = browser.run(f"{_ROWS}.filter(row => row.offsetHeight > 10).length")
    assert seen == len(collected.measurements)


@pytest.mark.browser
def test_headers_sort_best_first_then_the_other_way(browser: Browser, page: Path) -> None:
    browser.open(page)
    heads: list[str] = browser.run(
        "[...document.querySelectorAll('.sortable thead th')].map(h => h.textContent)"
    )
    for title, descending in (("Median", False), ("Accuracy", True), ("Size", False)):
        index = heads.index(title)
        click = f"document.querySelectorAll('.sortable thead button')[{index}].click()"
        for reverse in (descending, not descending):
            browser.run(click)
            values = [float(value) for value in column(browser, index)]
            assert values == sorted(values, reverse=reverse)
            state = browser.run(
                f"document.querySelectorAll('.sortable thead th')[{index}].ariaSort"
            )
            assert state == ("descending" if reverse else "ascending")


@pytest.mark.browser
def test_a_phone_sorts_by_a_list(browser: Browser, page: Path) -> None:
    browser.open(page, width=360)
    browser.run(
        "(s => { s.value = 5; s.dispatchEvent(new Event('change')); })"
        "(document.querySelector('.sorter select'))"
    )
    values = [float(value) for value in column(browser, 5)]
    assert values == sorted(values)


@pytest.mark.browser
def test_rows_without_a_value_stay_at_the_end(browser: Browser, tmp_path: Path) -> None:
    rows = (artifact("a-float32.tflite", 9, 0.5, 50.0), artifact("b-float16.tflite", 8, 0.5, 50.0))
    path = tmp_path / "report.html"
    mixed = Collected(artifacts=rows, measurements=(measurement(), measurement(threads=2)))
    path.write_text(render(mixed), encoding="utf-8")
    browser.open(path)
    for _ in range(2):
        browser.run("document.querySelectorAll('.sortable thead button')[5].click()")
        assert column(browser, 5)[-2:] == ["", ""]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "media"),
    [
        (320, {}),
        (360, {}),
        (768, {}),
        (1280, {}),
        (1280, {"prefers_color_scheme": "dark"}),
        (660, {"media": "print"}),
        (760, {"media": "print"}),
    ],
)
def test_nothing_hangs_over_the_edge(
    browser: Browser, page: Path, width: int, media: dict[str, Any]
) -> None:
    browser.open(page, width=width, **media)
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path, payload: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(hostile(payload), commands=(payload,)), encoding="utf-8")
    browser.open(path, width=360)
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert payload in browser.run("document.body.textContent")
    assert browser.run("document.documentElement.scrollWidth") <= 360


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, prefers_color_scheme=scheme)
    assert browser.run(_WORST_CONTRAST) >= 4.5


@pytest.mark.browser
def test_paper_shows_what_is_folded(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("document.querySelectorAll('details:not([open])').length") == 0


# The lowest contrast of any visible text with the nearest opaque colour behind it (WCAG 2).
_WORST_CONTRAST = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => {
    const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const [r, g, b] = c.map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = rgb(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  let worst = 21;
  for (const node of document.querySelectorAll('main *, header *, footer *')) {
    const own = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !node.getClientRects().length || node.closest('.confusion, option')) continue;
    const style = getComputedStyle(node);
    const colour = rgb(node.closest('svg') ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(colour), light(behind(node))].sort((x, y) => y - x);
    worst = Math.min(worst, (a + .05) / (b + .05));
  }
  return worst;
})()"""
