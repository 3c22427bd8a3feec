"""`eventide run --on flink --detach` and `eventide flink`, on a real cluster."""

from __future__ import annotations

import re
from pathlib import Path

from tests.flink.feed import SCHEMA, partitions, same, windows, write_files
from typer.testing import CliRunner

import eventide as et
from eventide.cli import app
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.remote import ENDED, Job
from eventide.runners.flink.rest import Rest
from eventide.testing.services.flink import Flink


def test_a_detached_job_goes_on_without_the_command(flink: Flink, tmp_path: Path) -> None:
    stream = windows(et.read_csv(write_files(tmp_path / "in", partitions(2_000)), schema=SCHEMA))
    expected = stream.run(show=False).results
    pipeline = tmp_path / "doses.yaml"
    pipeline.write_text(stream.write(et.write_ndjson(f"{tmp_path}/out/")).to_yaml())
    command = ["run", str(pipeline), "--on", "flink", "--flink-url", flink.address, "--parallelism", "2", "--detach"]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    found = re.search(r"job ([0-9a-f]{32}): (\S+)", ran.output)
    assert found is not None, ran.output
    job = Job(Rest(flink.address), found[1])
    assert found[2] == job.link
    assert job.wait_until(lambda: job.state() in ENDED, None)
    assert job.state() == "FINISHED"
    same(read_rows(tmp_path / "out", expected.schema), expected)
    status = CliRunner().invoke(app, ["flink", "status", found[1], "--flink-url", flink.address])
    assert "FINISHED" in status.output, status.output
