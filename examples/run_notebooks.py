"""Runs the notebooks of this folder from their first cell to their last, as a reader would.

    python examples/run_notebooks.py            run them all; an error in a cell stops with its text
    python examples/run_notebooks.py --write    and store what the cells show in the notebooks

It needs no Jupyter: a notebook is a JSON file, a cell shows what it printed and the value of its last line.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def run(path: Path) -> dict[str, Any]:
    """The notebook with what its cells show when they are run now."""
    notebook = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        number += 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = _value("".join(cell["source"]), names, f"{path.name}, cell {number}")
        cell["execution_count"] = number
        cell["outputs"] = [*_stream(printed.getvalue()), *_shown(value, number)]
    return notebook


def _value(code: str, names: dict[str, Any], where: str) -> Any:
    """The value of a cell's last line, if it is an expression."""
    tree = ast.parse(code, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), names)  # noqa: S102 - our own notebooks
    return None if last is None else eval(compile(ast.Expression(last.value), where, "eval"), names)  # noqa: S307


def _stream(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}] if text else []


def _shown(value: Any, number: int) -> list[dict[str, Any]]:
    if value is None:
        return []
    data: dict[str, Any] = {}
    if hasattr(value, "_repr_png_"):
        data["image/png"] = b64encode(_small(value._repr_png_())).decode()
        data["text/plain"] = ["<picture>"]
    elif hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
        data["text/plain"] = [f"<{type(value).__name__}>"]
    else:
        data["text/plain"] = repr(value).splitlines(keepends=True)
    return [{"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}}]


def _small(picture: bytes) -> bytes:
    """The picture with 256 colours: a third of the bytes, and no difference to the eye."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def main() -> None:
    """Run all notebooks; with --write, store what they show."""
    for path in sorted(HERE.glob("*.ipynb")):
        notebook = run(path)
        if "--write" in sys.argv[1:]:
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        print(f"{path.name}: {sum(cell['cell_type'] == 'code' for cell in notebook['cells'])} cells")


if __name__ == "__main__":
    main()
