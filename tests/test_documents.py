"""Documents say what is true: the README's example runs, the architecture is the one that the contracts enforce."""

from __future__ import annotations

import configparser
import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

from eventide.connectors.promises import promises_as_markdown

ROOT = Path(__file__).resolve().parents[1]


def test_readme_example_prints_what_the_readme_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.S)
    expected = re.search(r"```text\n(.*?)```", text, re.S)
    assert code is not None
    assert expected is not None
    monkeypatch.chdir(ROOT)
    example = ROOT / "out" / "readme_example.py"
    example.parent.mkdir(exist_ok=True)
    example.write_text(code[1])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(example))
    lines = [line for line in printed.getvalue().splitlines() if not line.startswith("finished after")]
    assert lines == expected[1].splitlines()


def test_pages_print_what_they_say() -> None:
    """The code of a page is run as one program; each block prints the text that follows it."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        names: dict[str, object] = {}
        printed = ""
        for kind, block in re.findall(r"```(python|text)\n(.*?)```", page.read_text(), re.S):
            if kind == "text":
                assert printed == block, f"{page.name}: {block}"
                continue
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, page.name, "exec"), names)
            printed = out.getvalue()


def test_examples_run() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(ROOT / "examples" / "doses.py"), run_name="__main__")
    assert "9 received = 6 on time" in printed.getvalue()


def test_the_page_on_explanations_prints_what_it_says() -> None:
    blocks = re.findall(r"```(python|text)\n(.*?)```", (ROOT / "docs" / "explain.md").read_text(), re.S)
    names: dict[str, object] = {}
    for (kind, code), (then, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        assert (kind, then) == ("python", "text")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "explain.md", "exec"), names)
        assert printed.getvalue() == expected


def test_architecture_draws_the_layers_that_the_contract_enforces() -> None:
    drawn = re.search(r"enforce\.\n\n((?:    .*\n)+)", (ROOT / "ARCHITECTURE.md").read_text())
    assert drawn is not None
    rooms = [{room.strip() for room in line.split(",")} for line in drawn[1].splitlines()]
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    layers = contract["importlinter:contract:layers"]["layers"].strip().splitlines()
    assert rooms == [{room.strip() for room in line.split("|")} for line in layers]
    names = {path.stem for path in (ROOT / "src/eventide").iterdir() if path.suffix in ("", ".py")}
    assert set().union(*rooms) == names - {"__init__", "__pycache__"}


def test_promises_of_connectors_are_those_that_the_code_states() -> None:
    assert promises_as_markdown() in (ROOT / "docs" / "delivery.md").read_text()


def test_decisions_carry_their_number() -> None:
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} "), path.name


def test_every_module_opens_with_what_it_is_and_the_law_it_keeps() -> None:
    silent = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        opening = path.read_text().split('"""')
        if len(opening) < 3 or "Law:" not in opening[1]:
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def test_files_stay_within_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in ROOT.glob("src/**/*.py")
        if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
