package eventide.flink;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerServiceImpl;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * The interval join, behind the doors of its two sides and by key. Law (decision 0008): all pairs of accepted rows with equal keys and times
 * within the bounds; a row is kept until the other side's watermark has passed every time at which a partner may lie, and comes out alone
 * then where it found none and the join says so.
 *
 * <p>Each side has a watermark of its own, which lets go the rows of the other one; Flink's own way knows the smaller of both only.
 */
final class JoinOperator extends AbstractStreamOperator<Event> implements TwoInputStreamOperator<Event, Event, Event> {
    private static final int LEFT = 0;
    private static final int RIGHT = 1;

    private final Plan.Join join;
    /** Which column of the left and of the right row each value of a joined one is; -1 none. */
    private final int[][] from;
    private final boolean named;
    private final boolean selected;

    private transient ValueState<Partners> states;
    /** The timers of the left side's rows and of the right side's: each runs by the watermark of the other side. */
    private transient List<InternalTimerServiceImpl<Key, VoidNamespace>> timers;
    private transient long[] reached;
    private transient long told;
    private transient Counters counters;

    JoinOperator(Plan plan) {
        this.join = plan.join();
        this.named = plan.window() != null;
        this.selected = join.select() != null;
        int[] left = join.from().get(LEFT);
        int[] right = join.from().get(RIGHT);
        boolean whole = !named || selected;
        this.from = whole ? new int[][] {left, right} : new int[][] {Narrow.of(left, Narrow.places(plan)), Narrow.of(right, Narrow.places(plan))};
    }

    @Override
    public void open() throws Exception {
        super.open();
        states = getPartitionedState(new ValueStateDescriptor<>("partners", Partners.Serializer.INSTANCE));
        timers = new ArrayList<>();
        timers.add(timersOf(LEFT));
        timers.add(timersOf(RIGHT));
        reached = new long[] {Instants.NO_WATERMARK, Instants.NO_WATERMARK};
        told = Instants.NO_WATERMARK;
        counters = new Counters(getRuntimeContext());
        getMetricGroup().gauge("watermark_us", this::heldBack);
    }

    private InternalTimerServiceImpl<Key, VoidNamespace> timersOf(int side) {
        return (InternalTimerServiceImpl<Key, VoidNamespace>) this.<Key, VoidNamespace>getInternalTimerService(
                side == LEFT ? "left" : "right", VoidNamespaceSerializer.INSTANCE, new Due(side));
    }

    @Override
    public void processElement1(StreamRecord<Event> record) throws Exception {
        take(LEFT, record.getValue());
    }

    @Override
    public void processElement2(StreamRecord<Event> record) throws Exception {
        take(RIGHT, record.getValue());
    }

    private void take(int side, Event event) throws Exception {
        boolean matches = !((Key) getCurrentKey()).hasNull();
        Partners state = states.value();
        boolean matched = matches && state != null && pair(side, event, state);
        boolean stays = due(side, event.time) > reached[1 - side] && (matches || join.alone(side));
        if (stays) {
            state = state == null ? new Partners() : state;
            boolean first = state.of(side).isEmpty() || event.time < state.of(side).firstKey();
            state.add(side, new Partners.Waiting(event, matched));
            if (first) {
                wake(side, event.time);
            }
        } else if (!matched && join.alone(side)) {
            alone(side, event);
        }
        if (stays || matched) {
            states.update(state);
        }
    }

    /** Pairs of a row with those of the other side that wait; true when there is one. */
    private boolean pair(int side, Event event, Partners state) {
        boolean matched = false;
        long least = event.time + (side == LEFT ? join.lowerUs() : -join.upperUs());
        long most = event.time + (side == LEFT ? join.upperUs() : -join.lowerUs());
        for (List<Partners.Waiting> rows : state.of(1 - side).subMap(least, true, most, true).values()) {
            for (Partners.Waiting other : rows) {
                emit(side == LEFT ? event : other.event, side == LEFT ? other.event : event);
                other.matched = true;
                matched = true;
            }
        }
        return matched;
    }

    /** The watermark of the other side at which a row of this side and time has no partner to come. */
    private long due(int side, long time) {
        return Instants.later(time, (side == LEFT ? join.upperUs() : -join.lowerUs()) + 1);
    }

    /** One timer a key and side is enough: when it fires, it sets the next one. */
    private void wake(int side, long time) {
        timers.get(side).registerEventTimeTimer(VoidNamespace.INSTANCE, Instants.toFlink(due(side, time)));
    }

    /** What lets rows of a side go. */
    private final class Due implements Triggerable<Key, VoidNamespace> {
        private final int side;

        Due(int side) {
            this.side = side;
        }

        @Override
        public void onEventTime(InternalTimer<Key, VoidNamespace> timer) throws Exception {
            Partners state = states.value();
            if (state == null) {
                return; // the rows of an earlier timer and this one went together
            }
            while (!state.of(side).isEmpty() && due(side, state.of(side).firstKey()) <= reached[1 - side]) {
                Map.Entry<Long, List<Partners.Waiting>> gone = state.of(side).pollFirstEntry();
                for (Partners.Waiting one : gone.getValue()) {
                    if (!one.matched && join.alone(side)) {
                        alone(side, one.event);
                    }
                }
            }
            if (!state.of(side).isEmpty()) {
                wake(side, state.of(side).firstKey());
            }
            if (state.isEmpty()) {
                states.clear();
            } else {
                states.update(state);
            }
        }

        @Override
        public void onProcessingTime(InternalTimer<Key, VoidNamespace> timer) {
            throw new IllegalStateException("a join sets no timers by the clock on the wall");
        }
    }

    private void alone(int side, Event event) {
        emit(side == LEFT ? event : null, side == LEFT ? null : event);
    }

    /** A joined row; its event time is the later one of its rows. */
    private void emit(Event left, Event right) {
        Object[] values = new Object[from[LEFT].length];
        for (int place = 0; place < values.length; place++) {
            if (left != null && from[LEFT][place] >= 0) {
                values[place] = left.values[from[LEFT][place]];
            } else if (right != null && from[RIGHT][place] >= 0) {
                values[place] = right.values[from[RIGHT][place]];
            }
        }
        Event made = new Event(Event.ROW, named ? placeOf(left) + placeOf(right) : Joined.LOG, 0, Instants.UNKNOWN, values);
        made.time = Math.max(left == null ? Long.MIN_VALUE : left.time, right == null ? Long.MIN_VALUE : right.time);
        made.before = Instants.NO_WATERMARK; // nothing of a joined stream is late
        if (selected) {
            made.arrival = made.time; // a table between here and the windows knows this column
            output.collect(new StreamRecord<>(made, 0)); // and that rows have a time, which nobody looks at
        } else {
            output.collect(new StreamRecord<>(made));
        }
    }

    /** Log and offset as a text that sorts as they do, none first: rows of one time behind a join are ordered by those of left and right. */
    static String placeOf(Event event) {
        return event == null ? "\0" : "\1" + event.log + "\0" + "%016x".formatted(event.offset);
    }

    @Override
    public void processWatermark1(Watermark mark) throws Exception {
        move(LEFT, mark.getTimestamp());
    }

    @Override
    public void processWatermark2(Watermark mark) throws Exception {
        move(RIGHT, mark.getTimestamp());
    }

    private void move(int side, long inclusive) throws Exception {
        reached[side] = Math.max(reached[side], Instants.fromFlink(inclusive));
        timers.get(1 - side).advanceWatermark(Instants.toFlink(reached[side]));
        long stream = heldBack();
        // one less: a session that ends at the watermark may still be touched by a row at it
        long mine = stream == Instants.END_OF_TIME ? stream : stream - 1;
        if (mine > told) {
            told = mine;
            output.emitWatermark(new Watermark(Instants.toFlink(mine)));
        }
    }

    /** The watermark of the joined stream: the smaller one, and what may still come out alone behind it. */
    private long heldBack() {
        long least = Math.min(reached[LEFT], reached[RIGHT]);
        for (int side : new int[] {LEFT, RIGHT}) {
            long other = reached[1 - side];
            if (join.alone(side) && other < Instants.END_OF_TIME) {
                least = Math.min(least, other - Math.max(side == LEFT ? join.upperUs() : -join.lowerUs(), 0));
            }
        }
        return Math.max(least, Instants.NO_WATERMARK);
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        counters.tell(heldBack());
    }

    @Override
    public void finish() throws Exception {
        counters.tell(heldBack());
        super.finish();
    }
}
