package eventide.flink;

import java.util.List;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/** Two streams as one: each side has its sources, its door and its late rows; behind the doors rows meet by key. */
final class Joined {
    /** A joined stream is one log, of this name. */
    static final String LOG = "derived";

    private static final List<String> SIDES = List.of("left", "right");

    private Joined() {}

    /** The joined stream of a plan, with what its doors leave out. */
    static Front of(Plan plan, StreamTableEnvironment tables, int parallelism) {
        Front left = side(plan, 0, tables, parallelism);
        Front right = side(plan, 1, tables, parallelism);
        SingleOutputStreamOperator<Event> rows = left.rows().keyBy(keyOf(plan, 0), PlainType.KEY)
                .connect(right.rows().keyBy(keyOf(plan, 1), PlainType.KEY))
                .transform("join", PlainType.events(plan), new JoinOperator(plan)).uid("join");
        SingleOutputStreamOperator<Event> behind = plan.join().select() == null ? rows : selected(plan, tables, rows);
        return new Front(behind, left.late().union(right.late()), left.dead().union(right.dead()));
    }

    /** The row-wise steps between a join and windows. The table hands the watermark on as it is: ours, in microseconds. */
    private static SingleOutputStreamOperator<Event> selected(Plan plan, StreamTableEnvironment tables, DataStream<Event> rows) {
        Tables.Shape shape = Tables.intake(plan.join().columns());
        DataStream<Row> typed = rows.map(new Tables.ToRow(shape), shape.information()).name("columns of the join");
        Schema schema = shape.schema(List.of()).columnByMetadata("_rowtime", DataTypes.TIMESTAMP_LTZ(3), "rowtime")
                .watermark("_rowtime", "SOURCE_WATERMARK()").build();
        tables.createTemporaryView("joined", tables.fromDataStream(typed, schema));
        return Job.rows(tables, tables.sqlQuery(plan.join().select()))
                .flatMap(Selected.of(plan), PlainType.events(plan)).name("events of the join");
    }

    /** What steps leave of a joined row, for windows. */
    record Selected(Tables.ToEvent events, int keep, int[] kept) implements FlatMapFunction<RowData, Event> {
        static Selected of(Plan plan) {
            return new Selected(new Tables.ToEvent(plan.columns()), plan.placeOrNone("_keep_behind"), Narrow.places(plan));
        }

        @Override
        public void flatMap(RowData row, Collector<Event> out) {
            Event event = events.map(row);
            if (keep < 0 || Boolean.TRUE.equals(event.values[keep])) {
                event.time = event.arrival;
                event.arrival = Instants.UNKNOWN;
                event.before = Instants.NO_WATERMARK;
                event.values = Narrow.of(event.values, kept);
                out.collect(event);
            }
        }
    }

    private static Front side(Plan plan, int number, StreamTableEnvironment tables, int parallelism) {
        Plan side = plan.join().sides().get(number);
        Front front = Job.front(side, tables, parallelism, "door " + SIDES.get(number));
        DataStream<Row> late = Job.late(side, front.rows())
                .map(ToLate.of(plan, number), late(plan).information()).name("late " + SIDES.get(number));
        return new Front(front.rows(), late, front.dead());
    }

    /** The key of a row that a side hands on. */
    static KeySelector<Event, Key> keyOf(Plan plan, int side) {
        List<String> hands = plan.join().sides().get(side).side().hands();
        int[] places = plan.join().keys().get(side).stream().mapToInt(hands::indexOf).toArray();
        return event -> new Key(Narrow.of(event.values, places));
    }

    /** The columns of the late output. */
    static Tables.Shape late(Plan plan) {
        Tables.Shape shape = new Tables.Shape();
        plan.join().late().forEach(one -> shape.add(one.name(), one.type()));
        return shape;
    }

    /** A late row of a side with the columns that those of both sides have; the column without a name in either is the side's own. */
    record ToLate(String side, int[] places) implements MapFunction<Row, Row> {
        private static final int SIDE = -2;

        static ToLate of(Plan plan, int number) {
            List<String> names = Results.late(plan.join().sides().get(number)).names();
            int[] places = plan.join().late().stream().mapToInt(one -> {
                String name = number == 0 ? one.left() : one.right();
                return one.left() == null && one.right() == null ? SIDE : names.indexOf(name);
            }).toArray();
            return new ToLate(SIDES.get(number), places);
        }

        @Override
        public Row map(Row late) {
            Row row = new Row(places.length);
            for (int place = 0; place < places.length; place++) {
                row.setField(place, places[place] == SIDE ? side : places[place] < 0 ? null : late.getField(places[place]));
            }
            return row;
        }
    }
}
