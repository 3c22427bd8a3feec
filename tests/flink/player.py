"""The operators of the job in Flink's test harnesses, asked over a pipe: one Java process for all cases.

Law: what crosses the pipe is a case and its answer; the operators are those of the jar.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventide.plan import Plan
from eventide.runners.flink.compile import VERSION, joined_operators, operators_tree, query_of
from eventide.testing.reference import Entry, Event, Finished, Heartbeat, Idle

FOLDER = Path(__file__).resolve().parents[2] / "flink"
_OPENS = ("java.lang", "java.util", "java.lang.invoke", "java.time", "java.util.concurrent")


def _started() -> subprocess.Popen[str]:
    target = FOLDER / "target"
    class_path = ":".join(
        [str(target / "classes"), str(target / "test-classes"), (target / "test-class-path.txt").read_text().strip()]
    )
    opens = [f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in _OPENS]
    command = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *opens, "-cp", class_path]
    return subprocess.Popen(
        [*command, "eventide.flink.Play"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@dataclass
class Player:
    """A running `eventide.flink.Play`."""

    process: subprocess.Popen[str] = field(default_factory=_started)

    def play(
        self,
        plan: Plan,
        entries: Sequence[Entry],
        logs: Sequence[str],
        *,
        parallelism: int = 1,
        restarts: Sequence[tuple[int, int]] = (),
    ) -> dict[str, Any]:
        """What the operators give for entries in this order; a restart is (behind which entry, at which parallelism)."""
        columns = {log: list(plan.inputs[0].source.columns) for log in logs}
        return self._answer(case_tree(plan, logs), entries, columns, parallelism, restarts)

    def play_join(
        self,
        plan: Plan,
        entries: Sequence[Entry],
        logs: Sequence[Sequence[str]],
        *,
        parallelism: int = 1,
        restarts: Sequence[tuple[int, int]] = (),
    ) -> dict[str, Any]:
        """As `play`, of a join; `logs` are those of each side."""
        columns = {log: list(one.source.columns) for one, names in zip(plan.inputs, logs, strict=True) for log in names}
        return self._answer(join_case_tree(plan, logs), entries, columns, parallelism, restarts)

    def _answer(
        self,
        plan: Mapping[str, Any],
        entries: Sequence[Entry],
        columns: Mapping[str, Sequence[str]],
        parallelism: int,
        restarts: Sequence[tuple[int, int]],
    ) -> dict[str, Any]:
        case = {
            "plan": plan,
            "entries": [_entry(one, columns[one.log]) for one in entries],
            "parallelism": parallelism,
            "restarts": [list(one) for one in restarts],
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the player has ended"
        answer: dict[str, Any] = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def built() -> None:
    """Build the operators, if they are older than their source."""
    made = FOLDER / "target" / "test-classes" / "eventide" / "flink" / "Play.class"
    jar = FOLDER / "target" / "eventide-flink.jar"
    newest = max(path.stat().st_mtime for path in [FOLDER / "pom.xml", *FOLDER.glob("src/**/*.java")])
    if not made.exists() or not jar.exists() or min(made.stat().st_mtime, jar.stat().st_mtime) < newest:
        subprocess.run(["mvn", "-q", "-B", "package", "-DskipTests"], cwd=FOLDER, check=True, timeout=600)


def case_tree(plan: Plan, logs: Sequence[str]) -> dict[str, Any]:
    """A plan as the job reads it, with a source that is never opened."""
    query, inputs = query_of(plan)
    return {"version": VERSION, "sources": [{"logs": list(logs)}], **operators_tree(plan, query, inputs), "outputs": []}


def join_case_tree(plan: Plan, logs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """As `case_tree`, of a join; `logs` are those of each side."""
    assert plan.derived is not None
    sides = [case_tree(side, names) for side, names in zip(plan.derived.sides, logs, strict=True)]
    return {"version": VERSION, "sources": [], **joined_operators(plan, sides), "outputs": []}


def _entry(entry: Entry, columns: Sequence[str]) -> list[object]:
    match entry:
        case Event(log, offset, row, arrival_us):
            return ["event", log, offset, arrival_us, [row[name] for name in columns]]
        case Heartbeat(log, watermark):
            return ["heartbeat", log, watermark]
        case Idle(log):
            return ["idle", log]
        case Finished(log):
            return ["finished", log]
