"""A cluster that goes on by itself: up, used by others, down."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from eventide.errors import FlinkError
from eventide.runners.flink.local import down, up
from eventide.runners.flink.rest import Rest
from eventide.servers.process import free_port, is_listening


def eventide(*words: str) -> str:
    command = [sys.executable, "-m", "eventide", "flink", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cluster_goes_up_is_kept_when_it_is_there_and_goes_down_whole(tmp_path: Path) -> None:
    port = free_port()
    words = ["--port", str(port), "--folder", str(tmp_path)]
    try:
        began = eventide("up", "--slots", "3", *words)
        assert f"Flink at http://127.0.0.1:{port}" in began
        assert f"end it with: eventide flink down --port {port} --folder {tmp_path}\n" in began
        assert "it runs already" not in began
        assert "it runs already, with 3 slots in all" in eventide("up", "--slots", "4", *words)
        first = up(port=port, folder=tmp_path)
        assert Rest(first.url).get("/overview")["slots-total"] == 3
        assert [name for name, _ in first.processes] == ["taskmanager-1", "jobmanager"]
        assert all(os.getsid(pid) != os.getsid(0) for _, pid in first.alive), "a Ctrl-C of the terminal would reach it"
        assert eventide("jobs", "--flink-url", first.url) == ""
    finally:
        ended = eventide("down", *words)
    assert f"http://127.0.0.1:{port} is ended" in ended
    assert first.alive == ()
    assert not is_listening(port)
    with pytest.raises(FlinkError, match="no cluster was started"):
        down(port=port, folder=tmp_path)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(FlinkError, match=f"port {port} is taken"):
            up(port=port, folder=tmp_path)


def test_a_process_that_took_over_the_number_of_one_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(
        f'{{"url": "http://127.0.0.1:1", "processes": {{"jobmanager": {os.getpid()}}}}}'
    )
    assert down(port=1, folder=tmp_path).alive == ()
