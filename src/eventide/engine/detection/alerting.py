"""Alerts: raised when a condition becomes true for a key, cleared when another does, at most once up for each key.

Law: the rows of a key are judged in the order of event time. Which rows raise is found without a loop over rows: every
row that could raise knows the next one that could raise after it, and the chain from the first is followed by doubling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from eventide.engine.aggregates import LOG_NAME
from eventide.engine.detection.chosen import chosen
from eventide.engine.detection.stage import AT, ROW, RULE, Codes, Frames, Taken, judged
from eventide.engine.keys import CODE
from eventide.expressions import columns_of, to_polars
from eventide.flow import INSTANT, OFFSET
from eventide.plan import Alert

OWN: Final = {
    "at": INSTANT,
    "alert": pl.String(),
    "severity": pl.String(),
    "state": pl.String(),
    "since": INSTANT,
    "clock": pl.String(),
    "values": pl.String(),
}
"""Columns of the `alerts` output besides the keys, which stand behind `state`."""

_STATE: Final = {CODE: pl.Int64(), "up": pl.Boolean(), "last": pl.Int64()}


class Alerting:
    """One alert over the rows that pass it."""

    def __init__(self, rule: int, alert: Alert, schema: Mapping[str, pl.DataType]) -> None:
        self._rule = rule
        self._alert = alert
        self._codes = Codes(alert.by, schema)
        used = columns_of(alert.when) | (columns_of(alert.clear) if alert.clear is not None else frozenset())
        self._shown = [name for name in schema if name in used]
        self._state = pl.DataFrame(schema=_STATE)

    def take(self, given: Taken) -> Taken:
        rows = given.rows
        if rows.height == 0:
            return given
        acting = self._acting(rows, given.waiting)
        made = self._judge(acting) if acting.height else None
        self._forget(given.reached)
        if made is None or made.height == 0:
            return given
        return replace(given, alerts=(*given.alerts, self._rows(made, rows)))

    def _acting(self, rows: pl.DataFrame, waiting: pl.DataFrame | None) -> pl.DataFrame:
        """The rows that could raise or clear, key by key in order."""
        marked = self._marked(rows).with_columns(
            rows.get_column(AT),
            rows.get_column(ROW),
            pl.int_range(rows.height, dtype=pl.Int64, eager=True).alias("pos"),
        )
        if waiting is not None and marked.get_column("raises").any():
            marked = self._without_outdated(marked, rows, waiting)
        chosen_rows = marked.get_column("raises") | marked.get_column("clears")
        acting = marked.filter(chosen_rows)
        if acting.height == 0:
            return acting
        keys = rows.select(ROW, *self._alert.by).filter(chosen_rows)
        acting = acting.with_columns(self._codes.of(keys)).sort(CODE, maintain_order=True)
        # a row that clears says nothing new behind another one of its key
        before = pl.col("raises").shift(1, fill_value=True) | (pl.col(CODE) != pl.col(CODE).shift(1))
        return acting.filter(pl.col("raises") | before)

    def _marked(self, rows: pl.DataFrame) -> pl.DataFrame:
        when = to_polars(self._alert.when)
        clear = ~when if self._alert.clear is None else to_polars(self._alert.clear) & ~when.fill_null(False)
        counts = judged(rows)
        return rows.select(
            (counts & when.fill_null(False)).alias("raises"), (counts & clear.fill_null(False)).alias("clears")
        )

    def _without_outdated(self, marked: pl.DataFrame, rows: pl.DataFrame, waiting: pl.DataFrame) -> pl.DataFrame:
        """An alarm that came behind a newer all-clear of its key in its log raises nothing."""
        here = marked.with_columns(rows.get_column(LOG_NAME), rows.get_column(OFFSET))
        asked = _overtaken(here, waiting)
        if asked.height == 0:
            return marked
        asked = asked.with_columns(self._codes.of(rows.select(ROW, *self._alert.by)[asked.get_column("pos")]))
        at = [CODE, LOG_NAME, AT, OFFSET]
        later = self._marked(waiting).with_columns(*waiting.select(LOG_NAME, AT, OFFSET).get_columns())
        clears = pl.concat(
            [
                frame.with_columns(self._codes.of(whole)).filter("clears").select(at)
                for frame, whole in ((here, rows), (later, waiting))
            ]
        ).sort(AT, maintain_order=True)
        first = pl.col(OFFSET).reverse().cum_min().reverse().over(CODE, LOG_NAME).alias("first")
        known = clears.with_columns(first).select(CODE, LOG_NAME, AT, "first")
        found = asked.join_asof(
            known.unique([CODE, LOG_NAME, AT], keep="first", maintain_order=True),
            on=AT,
            by=[CODE, LOG_NAME],
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        outdated = found.filter(pl.col("first") < pl.col(OFFSET)).get_column("pos")
        raises = marked.get_column("raises").clone().scatter(outdated.cast(pl.UInt32), False)
        return marked.with_columns(raises.alias("raises"))

    def _judge(self, acting: pl.DataFrame) -> pl.DataFrame:
        """The rows that raise and the rows that clear them, with when each alert was raised."""
        table = _linked(acting.with_row_index("n").with_columns(pl.col("n").cast(pl.Int64)), self._alert.cooldown_us)
        heads = self._heads(table)
        first = heads.filter(pl.col("head") < table.height).get_column("head")
        table = table.with_columns(chosen(table.get_column("next"), first).alias("chosen"))
        raised = table.filter("chosen")
        ended = pl.concat(
            [
                raised.filter(pl.col("clear").is_not_null()).select(
                    pl.col("clear").alias("n"), pl.col(AT).alias("since")
                ),
                heads.filter(pl.col("up") & pl.col("first_clear").is_not_null()).select(
                    pl.col("first_clear").alias("n"), pl.col("last").alias("since")
                ),
            ]
        )
        self._remember(raised, heads)
        up = raised.select("n", pl.col(AT).alias("since"), pl.lit("raised").alias("state"))
        down = ended.with_columns(pl.lit("cleared").alias("state"))
        return pl.concat([up, down]).join(table.select("n", CODE, AT, ROW, "pos"), on="n", maintain_order="left")

    def _heads(self, table: pl.DataFrame) -> pl.DataFrame:
        """For each key that has rows: the first row that may raise (the height where there is none)."""
        height = table.height
        keys = table.group_by(CODE, maintain_order=True).agg(
            pl.col("n").first().alias("start"), pl.col("clear_from").first().alias("first_clear")
        )
        keys = keys.join(self._state, on=CODE, how="left", maintain_order="left").with_columns(
            pl.col("up").fill_null(False)
        )
        rested = pl.col("last") + self._alert.cooldown_us
        asked = keys.select(CODE, rested.alias("until")).with_row_index("key").drop_nulls("until")
        keys = keys.with_row_index("key").join(_ready(asked, table), on="key", how="left", maintain_order="left")
        after = pl.when(pl.col("last").is_null()).then(pl.col("start")).otherwise(pl.col("ready").fill_null(height))
        after = pl.when("up").then(pl.max_horizontal(after, pl.col("first_clear").fill_null(height))).otherwise(after)
        targets = keys.select(after.alias("target")).to_series()
        return keys.with_columns(_raise_from(table, targets).alias("head"))

    def _remember(self, raised: pl.DataFrame, heads: pl.DataFrame) -> None:
        last = (
            raised.group_by(CODE).last().select(CODE, pl.col("clear").is_null().alias("up"), pl.col(AT).alias("last"))
        )
        rest = heads.join(last, on=CODE, how="anti").filter(pl.col("last").is_not_null())
        rest = rest.select(CODE, pl.col("up") & pl.col("first_clear").is_null(), "last")
        new = pl.concat([last, rest])
        self._state = pl.concat([self._state.join(new, on=CODE, how="anti"), new])

    def _forget(self, reached: int) -> None:
        """Keys whose alert is down and whose cooldown is over are as good as new."""
        if self._state.height:
            matters = pl.col("up") | (pl.col("last") > reached - self._alert.cooldown_us)
            self._state = self._state.filter(matters)

    def _rows(self, made: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        made = made.sort(ROW, "n")
        source = rows[made.get_column("pos")]
        values = source.select(pl.struct(self._shown).struct.json_encode()).to_series() if self._shown else None
        return pl.concat(
            [
                made.select(
                    AT,
                    ROW,
                    pl.lit(self._rule, dtype=pl.Int64).alias(RULE),
                    pl.lit(self._alert.name).alias("alert"),
                    pl.lit(self._alert.severity).alias("severity"),
                    "state",
                    pl.col("since").cast(INSTANT),
                    pl.lit("event").alias("clock"),
                    (pl.lit("{}") if values is None else values.alias("values")).alias("values"),
                ),
                self._codes.values(made.get_column(CODE)),
            ],
            how="horizontal",
        )

    def snapshot(self) -> Frames:
        return {"state": self._state, **self._codes.snapshot()}

    def restore(self, frames: Frames) -> None:
        self._state = frames["state"]
        self._codes.restore(frames)


def _overtaken(here: pl.DataFrame, waiting: pl.DataFrame) -> pl.DataFrame:
    """The rows that could raise and came behind a newer row of their log."""
    columns = [LOG_NAME, AT, OFFSET]
    ahead = pl.concat([here.select(columns), waiting.select(columns).sort(AT)])
    least = pl.col(OFFSET).reverse().cum_min().reverse().over(LOG_NAME).alias("least")
    overtaken = ahead.with_columns(least).head(here.height).select(pl.col("least") < pl.col(OFFSET)).to_series()
    return here.filter(pl.col("raises") & overtaken)


def _linked(acting: pl.DataFrame, cooldown_us: int) -> pl.DataFrame:
    """For each row: the next row that clears, the first row from here that raises, and the next that may raise."""
    height = acting.height
    table = acting.with_columns(
        pl.when("clears").then("n").backward_fill().over(CODE).alias("clear_from"),
        pl.when("raises").then("n").backward_fill().over(CODE).alias("raise_from"),
    ).with_columns(pl.when("raises").then("clear_from").alias("clear"))
    after = pl.col("clear").fill_null(height)
    if cooldown_us:
        asked = table.select(CODE, (pl.col(AT) + cooldown_us).alias("until"), pl.col("n").alias("key"))
        table = table.join(_ready(asked, table), left_on="n", right_on="key", how="left", maintain_order="left")
        after = pl.max_horizontal(after, pl.col("ready").fill_null(height))
    targets = table.select(after.alias("target")).to_series()
    return table.with_columns(_raise_from(table, targets).alias("next"))


def _ready(asked: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """For each asked key code and instant `until`: the first row of the key at or behind it, as `ready`."""
    firsts = (
        table.select(CODE, AT, pl.col("n").alias("ready"))
        .unique([CODE, AT], keep="first", maintain_order=True)
        .sort(AT)
    )
    found = asked.sort("until").join_asof(
        firsts, left_on="until", right_on=AT, by=CODE, strategy="forward", check_sortedness=False
    )
    return found.select("key", "ready")


def _raise_from(table: pl.DataFrame, targets: pl.Series) -> pl.Series:
    """The first row at or behind each target that raises; the height where there is none."""
    height = table.height
    found = table.get_column("raise_from").fill_null(height)
    return pl.concat([found, pl.Series([height], dtype=pl.Int64)]).gather(targets)


def alert_schema(keys: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns of the alerts output."""
    head = {name: OWN[name] for name in ("at", "alert", "severity", "state")}
    return {**head, **keys, **{name: dtype for name, dtype in OWN.items() if name not in head}}


def visible_alerts(frames: Sequence[pl.DataFrame], keys: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Alert rows as they go out: key columns that an alert does not have are null."""
    whole = pl.concat(frames, how="diagonal_relaxed")
    missing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in keys.items() if name not in whole.columns]
    return whole.with_columns(pl.col(AT).cast(INSTANT).alias("at"), *missing).select(list(alert_schema(keys)))
