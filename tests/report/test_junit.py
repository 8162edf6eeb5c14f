"""Gates as CI services read them."""

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report.gates import Ruling, Status
from edgecnn.report.junit import junit
from edgecnn.report.subjects import Subject


def ruling(status: Status, detail: str = "+9 %", file: str = "x.tflite") -> Ruling:
    subject = Subject(file=file, format="tflite", scheme="int8")
    return Ruling(gate="p90:5%", subject=subject, status=status, detail=detail)


def test_a_broken_gate_fails_and_one_that_saw_nothing_is_skipped() -> None:
    root = ET.fromstring(junit([ruling("passed"), ruling("broken"), ruling("not judged", "busy")]))
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = suite.findall("testcase")
    assert [case[0].tag for case in cases] == ["system-out", "failure", "skipped"]
    assert cases[2][0].get("message") == "busy"


@given(st.text(), st.text())
def test_any_text_gives_a_document(detail: str, file: str) -> None:
    root = ET.fromstring(junit([ruling("broken", detail, file)]).encode())
    assert root.get("failures") == "1"
