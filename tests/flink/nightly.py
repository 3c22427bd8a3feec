"""Plans and streams drawn from seeds, through the operators of the Flink job and through the embedded engine.

    python -m tests.flink.nightly [--seeds FIRST:BEHIND] [--draws N]

Law: the same seed draws the same; a seed at which the answers differ is told with the line that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from tests.flink import test_joins_on_flink as joins
from tests.flink import test_laws_on_flink as laws
from tests.flink.player import Player, built

Law = Callable[..., None]

LAWS: Sequence[tuple[Law, Sequence[st.SearchStrategy[object]]]] = (
    (laws.test_one_log_gives_the_same_rows_to_the_last_bit, laws.ONE_LOG),
    (laws.test_several_logs_behind_one_door_give_the_same_rows, laws.ONE_DOOR),
    (laws.test_several_doors_give_the_same_windows_in_the_end, laws.DOORS),
    (laws.test_a_restart_at_any_parallelism_shows_nowhere, laws.RESTARTS),
    (joins.test_a_join_gives_the_same_rows_on_both_engines, joins.JOINS),
    (joins.test_several_doors_on_each_side_give_the_same_rows, joins.DOORS),
    (joins.test_a_restart_of_a_join_at_any_parallelism_shows_nowhere, joins.RESTARTS),
    (joins.test_windows_behind_a_join_give_the_same_rows_on_both_engines, joins.WINDOWED),
)


def differs(player: Player, number: int, draws: int) -> str | None:
    """What went wrong with a seed: the law, the case and the difference; None when nothing did."""
    law, strategies = LAWS[number % len(LAWS)]
    inner: Law = law.hypothesis.inner_test  # type: ignore[attr-defined] # Hypothesis keeps the bare test there

    @seed(number)
    @settings(
        max_examples=draws,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
    )
    @given(st.tuples(*strategies))
    def drawn(case: tuple[object, ...]) -> None:
        inner(player, *case)

    try:
        drawn()
    except Exception as fault:
        notes = "\n".join(getattr(fault, "__notes__", ()))
        return f"{law.__name__}\n{notes}\n{''.join(traceback.format_exception(fault)[-3:])}"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all seeds; the exit code is 1 when answers differ at one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:40", help="the seeds to play, FIRST:BEHIND")
    parser.add_argument("--draws", type=int, default=25, help="how many plans and streams each seed draws")
    chosen = parser.parse_args(arguments)
    first, behind = (int(part) for part in chosen.seeds.split(":"))
    built()
    player, failed = Player(), []
    for number in range(first, behind):
        if (found := differs(player, number, chosen.draws)) is not None:
            failed.append(number)
            again = f"python -m tests.flink.nightly --seeds {number}:{number + 1} --draws {chosen.draws}"
            print(f"seed {number}: {found}\nrepeat it with: {again}", flush=True)
            player.process.kill()
            player = Player()
    player.close()
    print(f"{behind - first} seeds of {chosen.draws} draws, {len(failed)} with a difference: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
