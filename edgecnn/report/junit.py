"""Gates as JUnit XML, which every CI service shows: one test case a gate and subject."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from edgecnn.report.gates import Ruling


def junit(rulings: Sequence[Ruling], *, name: str = "edgecnn compare") -> str:
    """Return the document; a gate that could not be judged is skipped, with the reason."""
    counts = {
        "tests": str(len(rulings)),
        "failures": str(sum(ruling.status == "broken" for ruling in rulings)),
        "errors": "0",
        "skipped": str(sum(ruling.status == "not judged" for ruling in rulings)),
    }
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
    for ruling in rulings:
        names = {"classname": _legal(ruling.gate), "name": _legal(ruling.subject.label)}
        case = ET.SubElement(suite, "testcase", names)
        detail = _legal(ruling.detail)
        if ruling.status == "broken":
            failure = ET.SubElement(case, "failure", {"type": "gate", "message": detail})
            failure.text = f"{names['classname']} broken by {names['name']}: {detail}"
        elif ruling.status == "not judged":
            ET.SubElement(case, "skipped", {"message": detail})
        else:
            ET.SubElement(case, "system-out").text = detail
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _legal(text: str) -> str:
    """Return text without the characters that XML 1.0 has no way to write."""
    return "".join(c if c.isprintable() and c < "\ufffe" else "\ufffd" for c in text)
