"""The examples of the documents on alerts and detection run and print what stands below them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", ["alerts.md", "detection.md"])
def test_examples_print_what_the_document_says(name: str) -> None:
    pairs = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", (DOCS / name).read_text(), re.S)
    assert len(pairs) == (DOCS / name).read_text().count("```python")
    names: dict[str, object] = {}
    for code, expected in pairs:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        assert printed.getvalue() == expected
