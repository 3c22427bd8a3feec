"""State that a released version wrote opens for ever, and goes on to the same answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eventide import Stream
from eventide.engine.epochs import StateFolder

KEPT = Path(__file__).resolve().parents[1] / "state"
FOLDERS = sorted(path.parent for path in KEPT.glob("*/*/plan.yaml"))


def test_every_release_has_left_its_state() -> None:
    assert [(path.parent.name, path.name) for path in FOLDERS][:3] == [
        ("0.1.0", "revised"),
        ("0.1.0", "session"),
        ("0.1.0", "sliding"),
    ]
    assert [path.name for path in FOLDERS if path.parent.name == "format-2"] == ["revised", "session", "sliding"]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_kept_state_goes_on_to_the_same_answer(
    folder: Path, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    shutil.copyfile(folder.parent / "readings.csv", tmp_path / "readings.csv")
    monkeypatch.chdir(tmp_path)
    assert StateFolder(Path("state")).newest().checkpoint is not None
    for name in ("out.csv", "late.ndjson"):
        expected = (tmp_path / f"expected.{name.rpartition('.')[2]}").read_bytes()
        assert expected.startswith((tmp_path / name).read_bytes())
    outcome = Stream.from_yaml(Path("plan.yaml").read_text()).run(show=False, state="state", workers=workers)
    assert outcome.received_before >= 500
    assert outcome.accounting.total.received == 900
    assert Path("out.csv").read_bytes() == Path("expected.csv").read_bytes()
    assert Path("late.ndjson").read_bytes() == Path("expected.ndjson").read_bytes()
