package eventide.flink;

import java.util.List;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/** The named outputs as tables: results, late rows and dead letters. */
final class Results {
    private Results() {}

    static Tables.Shape results(Plan plan) {
        Tables.Shape shape = new Tables.Shape();
        Plan.Window window = plan.window();
        window.keys().forEach(key -> shape.add(key, plan.columns().get(plan.place(key)).type()));
        shape.add("window_start", "instant").add("window_end", "instant");
        window.aggregates().forEach(one -> shape.add(one.name(), resultType(one)));
        shape.add("revision", "integer").add("final", "boolean").add("early", "boolean").add("op", "string");
        return shape.add("log", "string").add("window_number", "integer");
    }

    /** The type of an aggregate's result; its own type is that of its input. */
    private static String resultType(Aggregate one) {
        return switch (one.function()) {
            case "count", "count_distinct" -> "integer";
            case "sum", "min", "max", "range", "first", "last", "any", "all" -> one.type();
            case "collect" -> "list of " + one.type();
            case "histogram" -> "list of integer";
            case "top_k" -> "top of " + one.type();
            default -> "float";
        };
    }

    /** The columns of a stream without windows. */
    static Tables.Shape rows(Plan plan) {
        Tables.Shape shape = new Tables.Shape();
        plan.shown().forEach(one -> shape.add(one.name(), one.type()));
        return shape;
    }

    /** A row of a stream without windows, with the columns that users see. */
    record ToShown(Tables.Shape shape, int[] places) implements MapFunction<Event, Row> {
        static ToShown of(Plan plan) {
            return new ToShown(rows(plan), plan.places(plan.shown().stream().map(Plan.Column::name).toList()));
        }

        @Override
        public Row map(Event event) {
            return shape.shown(Narrow.of(event.values, places));
        }
    }

    static Tables.Shape late(Plan plan) {
        Tables.Shape shape = new Tables.Shape();
        plan.late().forEach(one -> shape.add(one.name(), plan.columns().get(plan.place(one.from())).type()));
        shape.add("_log", "string").add("_offset", "integer").add("_arrival", "instant").add("window_start", "instant");
        return shape.add("window_end", "instant").add("watermark", "instant").add("late_by", "integer").add("clock", "string");
    }

    static Tables.Shape dead() {
        return new Tables.Shape().add("_log", "string").add("_offset", "integer").add("_arrival", "instant")
                .add("reason", "string").add("field", "string").add("raw", "string");
    }

    /** A result with its values as tables have them; with {@code upserts} it replaces the row of the same identity. */
    record ToResult(Tables.Shape shape, boolean upserts, int op) implements MapFunction<Row, Row> {
        static ToResult of(Tables.Shape shape, boolean upserts) {
            return new ToResult(shape, upserts, shape.names().indexOf("op"));
        }

        @Override
        public Row map(Row row) {
            Object[] values = new Object[row.getArity()];
            for (int place = 0; place < values.length; place++) {
                values[place] = row.getField(place);
            }
            Row shown = shape.shown(values);
            if (upserts) {
                shown.setKind("retract".equals(values[op]) ? RowKind.DELETE : RowKind.UPDATE_AFTER);
            }
            return shown;
        }
    }

    /** A late row with the reason: the last of its windows, the watermark in front of it, and whose clock that was. */
    static final class ToLate implements MapFunction<Event, Row> {
        private final Tables.Shape shape;
        private final int[] shown;
        private final Grid grid;
        private final long reach;
        private final int clock;

        ToLate(Plan plan) {
            this.shape = late(plan);
            this.shown = plan.places(plan.late().stream().map(Plan.Shown::from).toList());
            boolean fixed = plan.window() != null && !List.of("session", "count").contains(plan.window().kind());
            this.grid = fixed ? Grid.of(plan.window()) : null;
            this.reach = reach(plan.window());
            String key = plan.eventTime() == null ? null : plan.eventTime().clockKey();
            this.clock = key == null ? -1 : plan.place(key);
        }

        /** How far behind its time the window of one event alone ends, where windows are not fixed. */
        private static long reach(Plan.Window window) {
            if (window == null) {
                return 0;
            }
            return window.kind().equals("session") ? window.gapUs() : 1;
        }

        @Override
        public Row map(Event event) {
            Object[] values = new Object[shape.names().size()];
            int at = 0;
            for (int place : shown) {
                values[at++] = event.values[place];
            }
            Grid.Bounds bounds = bounds(event.time);
            values[at++] = event.log;
            values[at++] = event.offset;
            values[at++] = event.arrival == Instants.UNKNOWN ? null : (Object) event.arrival;
            values[at++] = bounds.start();
            values[at++] = bounds.end();
            values[at++] = event.before;
            values[at++] = event.before - bounds.end();
            values[at] = clock < 0 ? "log" : String.valueOf(event.values[clock]);
            return shape.shown(values);
        }

        private Grid.Bounds bounds(long time) {
            if (grid != null) {
                List<Grid.Bounds> windows = grid.of(time);
                return windows.get(windows.size() - 1);
            }
            return new Grid.Bounds(time, time + reach);
        }
    }

    /** A refused record. */
    record ToDead(Tables.Shape shape) implements MapFunction<Event, Row> {
        @Override
        public Row map(Event event) {
            Object arrival = event.arrival == Instants.UNKNOWN ? null : (Object) event.arrival;
            return shape.shown(new Object[] {
                event.log, event.offset, arrival, event.values[Refused.REASON], event.values[Refused.FIELD], event.values[Refused.RAW]
            });
        }
    }
}
