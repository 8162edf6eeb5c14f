from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report.html import breakable, escape, join, named, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b & ", tag("b", "c")) == "<p>a &lt; b &amp; <b>c</b></p>"


def test_attributes_are_escaped_or_left_out() -> None:
    made = tag("a", "x", title='"><script>', class_="k", aria_label="l", hidden=True, id=None)
    assert made == ('<a title="&quot;&gt;&lt;script&gt;" class="k" aria-label="l" hidden>x</a>')


def test_void_elements_are_not_closed() -> None:
    assert tag("br") == "<br>"


def test_lists_are_put_together() -> None:
    assert join("a", ["<", tag("i", "b")], iter(["c"])) == "a&lt;<i>b</i>c"


def test_what_is_no_text_is_replaced() -> None:
    assert escape("a\0b\ud800c\u202ed\x1be") == "a\ufffdb\ufffdc\ufffdd\ufffde"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.titles: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=["C"])))
def test_no_text_gets_out_of_its_place(text: str) -> None:
    reader = _Reader()
    reader.feed(tag("p", text, title=text))
    reader.close()
    assert (reader.tags, reader.text, reader.titles) == (["p"], text, [text])


def test_a_long_name_breaks_between_its_parts() -> None:
    assert breakable("a_b-c & -1 -d") == "a_<wbr>b-<wbr>c &amp; -1 -d"
    assert named("<x-y>") == '<span class="name">&lt;x-<wbr>y&gt;</span>'
