"""Wrong words and wrong files on the command line end in a message, never in a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventide.cli import main

JOB = """
import eventide as et
from eventide import col
rows = [{"k": "ab"[n % 2], "at": n * 1000, "x": float(n % 5)} for n in range(30)]
timed = et.from_rows(rows, schema={"k": str, "at": et.Instant, "x": float}).event_time("at", et.bounded("2s"), max_future=None)
pipeline = timed.with_columns(high=col("x") > 2).group_by("high").window(et.tumbling("5s")).agg(n=et.count())
"""
READINGS = "k,at\n" + "".join(f"a,2026-01-01T00:{n:02d}:00Z\n" for n in range(40))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "r.csv").write_text(READINGS)
    (tmp_path / "latin.csv").write_bytes("k,at\nStraße,2026-01-01T00:00:00Z\n".encode("latin-1"))
    (tmp_path / "latin.yaml").write_bytes("eventide: 1 # Straße\n".encode("latin-1"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "broken.csv.gz").write_bytes(b"not packed")
    (tmp_path / "empty.csv").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("check latin.yaml", 2, "UTF-8"),
        ("run job.py --state=", 1, "state='' is not the path of a folder: is a variable not set?"),
        ("state show r.csv", 1, "r.csv is no savepoint that can be used"),
        ("state list r.csv", 1, "r.csv is no savepoint that can be used"),
        ("savepoint nowhere kept", 1, "no checkpoint in nowhere"),
        ("explain window job.py --key maybe --at 1970-01-01", 2, "does not fit the key columns"),
        ("explain event job.py --value zz=3", 2, "there is no column 'zz'"),
        ("explain event job.py --value x=abc", 2, "x='abc' does not fit"),
        ("explain event job.py --value at=noon", 2, "at='noon' is not a time"),
        ("advise latin.csv", 2, "cannot be read"),
        ("advise broken.csv.gz", 2, "cannot be read"),
        ("advise broken.parquet", 2, "does not read as Parquet"),
        ("advise missing.parquet", 2, "there is no file"),
        ("advise .", 2, "cannot be read"),
        ("advise r.csv --order sorted", 2, "'as_is', 'reversed', 'arrival'"),
        ("advise r.csv --late-rate 0", 2, "late_rate=0.0 must lie between 0 and 1"),
        ("advise r.csv --window -5m", 2, "must lie between zero"),
        ("advise r.csv --cap 0s", 2, "must be longer than zero"),
        ("advise r.csv --if-bound 0s", 2, "nothing is changed"),
        ("advise r.csv --max-age -1d", 2, "must lie between zero"),
        ("advise r.csv --picture p.xyz", 2, "does not end with .png"),
        ("advise r.csv --picture nowhere/p.png", 1, "there is no folder nowhere"),
        ("simulate s.csv --duration -1d", 2, "must lie between zero"),
        ("demo --input empty.csv", 1, "not one reading was received"),
    ],
)
def test_it_is_told_in_words(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["eventide", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert said in " ".join(capsys.readouterr().err.split())
