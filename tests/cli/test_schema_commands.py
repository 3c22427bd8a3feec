"""`eventide schema`: what people ask about schemas, answered in lines and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_commands import eventide

READINGS = "sensor,at,dose,zip\na,2026-01-01T00:00:00Z,1,007\nb,2026-01-02T00:00:00Z,,1\n"
OLD = {"type": "record", "name": "R", "fields": [{"name": "dose", "type": "int"}, {"name": "site", "type": "string"}]}
NEW = {"type": "record", "name": "R", "fields": [{"name": "dose", "type": "double"}, {"name": "q", "type": "int"}]}
JSON = {"type": "object", "properties": {"dose": {"type": "string"}}}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "readings.csv").write_text(READINGS)
    lines = [{"a": {"b": 1.5, "at": "2026-01-01T00:00:00Z"}, "tags": [1], "n": 5}, {"a": {"b": 1}, "n": None}]
    (tmp_path / "r.ndjson").write_text("\n".join(map(json.dumps, lines)))
    for name, schema in (("old.avsc", OLD), ("new.avsc", NEW), ("schema.json", JSON)):
        (tmp_path / name).write_text(json.dumps(schema))
    (tmp_path / "job.py").write_text(
        "import eventide as et\n"
        "pipeline = et.read_csv('readings.csv', schema={'sensor': str, 'at': et.Instant, 'dose': float})\n"
    )
    return tmp_path


def test_infer_prints_a_schema_that_reads_the_file_again(files: Path) -> None:
    done = eventide("schema", "infer", str(files / "readings.csv"))
    assert (done.returncode, done.stderr) == (0, "")
    expected = (
        "columns:\n  sensor:\n    type: string\n    nullable: false\n  at:\n    type: instant\n    nullable: false\n"
    )
    assert done.stdout == expected + "  dose: integer\n  zip:\n    type: string\n    nullable: false\n"
    (files / "inferred.yaml").write_text(done.stdout)
    same = eventide("schema", "diff", str(files / "inferred.yaml"), str(files / "readings.csv"))
    assert (same.returncode, same.stdout) == (0, "no difference\n")
    nested = eventide("schema", "infer", str(files / "r.ndjson")).stdout
    assert "a_b:\n    type: float\n    path: a.b\n    nullable: false\n" in nested
    assert "tags: list\n  n: integer\n" in nested


def test_check_says_what_a_pipeline_cannot_read(files: Path) -> None:
    good = eventide("schema", "check", str(files / "job.py"), str(files / "readings.csv"))
    assert (good.returncode, good.stdout) == (0, "readings.csv: reads it\n")
    (files / "readings.csv").write_text("sensor,dose\na,much\n")
    bad = eventide("schema", "check", str(files / "job.py"), str(files / "readings.csv"))
    assert bad.returncode == 1
    assert "does not fit  'at' is not there" in bad.stdout
    assert "does not fit  'dose' is string, which the plan cannot read as float" in bad.stdout
    nothing = eventide("schema", "check", str(files / "job.py"), "readings-value")
    assert nothing.returncode == 1
    assert "the source readings.csv has no registry to ask for a subject" in nothing.stderr


def test_diff_compares_whatever_says_something_about_fields(files: Path) -> None:
    done = eventide("schema", "diff", str(files / "old.avsc"), str(files / "new.avsc"))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "fits          'dose' is double, was int",
        "fits          'q' was added (int, required)",
        "does not fit  'site' was removed",
        "1 change that cannot be read rightly",
    ]
    text = eventide("schema", "diff", str(files / "job.py"), str(files / "schema.json"))
    assert "does not fit  'dose' is string, which the plan cannot read as float" in text.stdout
