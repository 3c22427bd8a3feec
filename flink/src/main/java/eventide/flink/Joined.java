package eventide.flink;

import java.util.List;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;

/** Two streams as one: each side has its sources, its door and its late rows; behind the doors rows meet by key. */
final class Joined {
    private static final List<String> SIDES = List.of("left", "right");

    private Joined() {}

    /** The joined stream of a plan, with what its doors leave out. */
    static Front of(Plan plan, StreamTableEnvironment tables, int parallelism) {
        Front left = side(plan, 0, tables, parallelism);
        Front right = side(plan, 1, tables, parallelism);
        SingleOutputStreamOperator<Event> rows = left.rows().keyBy(keyOf(plan, 0), PlainType.KEY)
                .connect(right.rows().keyBy(keyOf(plan, 1), PlainType.KEY))
                .transform("join", PlainType.events(plan), new JoinOperator(plan)).uid("join");
        return new Front(rows, left.late().union(right.late()), shape(plan), left.dead().union(right.dead()));
    }

    private static Front side(Plan plan, int number, StreamTableEnvironment tables, int parallelism) {
        Plan side = plan.join().sides().get(number);
        Front front = Job.front(side, tables, parallelism, "door " + SIDES.get(number));
        Tables.Shape shape = shape(plan);
        DataStream<Row> late = front.late()
                .map(ToLate.of(plan, number), shape.information()).name("late " + SIDES.get(number));
        return new Front(front.rows(), late, shape, front.dead());
    }

    /** The key of a row that a side hands on. */
    static KeySelector<Event, Key> keyOf(Plan plan, int side) {
        List<String> hands = plan.join().sides().get(side).side().hands();
        int[] places = plan.join().keys().get(side).stream().mapToInt(hands::indexOf).toArray();
        return event -> new Key(Narrow.of(event.values, places));
    }

    private static Tables.Shape shape(Plan plan) {
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
