package eventide.flink;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;

/** Doors and windows as a job has them, each in a test harness, with what lies between them. */
final class Stage implements AutoCloseable {
    static final int GROUPS = 16;

    private final Plan plan;
    private final KeySelector<Event, Key> keyOf;
    private final SliceSerializer onTheWire;
    /** What lies in front of the windows where a plan is a join: then there are no doors here. */
    final JoinStage joined;
    private final List<OneInputStreamOperatorTestHarness<Event, Event>> doors = new ArrayList<>();
    /** One behind each door, where windows are made of slices. */
    private final List<OneInputStreamOperatorTestHarness<Event, Slice>> slicers = new ArrayList<>();
    private final List<WindowHarness<?>> windows = new ArrayList<>();
    private long[] reached;
    private long sent = Long.MIN_VALUE;
    private long nowMs;
    private int parallelismBefore;

    final List<Row> results = new ArrayList<>();
    /** The results of a stream without windows. */
    final List<Event> rows = new ArrayList<>();
    final List<Event> late = new ArrayList<>();
    final List<Event> dead = new ArrayList<>();

    private static final class WindowHarness<T> extends KeyedOneInputStreamOperatorTestHarness<Key, T, Row> {
        private final KeySelector<T, Key> keyOf;

        WindowHarness(OneInputStreamOperator<T, Row> operator, KeySelector<T, Key> keyOf, int many, int number) throws Exception {
            super(operator, keyOf, PlainType.KEY, GROUPS, many, number);
            this.keyOf = keyOf;
        }

        @SuppressWarnings("unchecked") // all windows of a plan take the same
        Key keyOf(Object value) throws Exception {
            return keyOf.getKey((T) value);
        }

        @SuppressWarnings("unchecked") // all windows of a plan take the same
        void take(Object value) throws Exception {
            processElement(new StreamRecord<>((T) value));
        }

        Account account() {
            return getOperator() instanceof WindowOperator operator ? operator.account() : new Account();
        }
    }

    Stage(Plan plan, int parallelism) throws Exception {
        this.plan = plan;
        this.joined = plan.join() == null ? null : new JoinStage(plan);
        this.keyOf = plan.window() == null ? null : Job.keyOf(plan);
        this.onTheWire = plan.window() == null || Slicing.of(plan) == null ? null : new SliceSerializer(plan.window().aggregates());
        start(parallelism, null, null, null, 0);
    }

    private void start(
            int parallelism, OperatorSubtaskState ofDoors, List<OperatorSubtaskState> ofJoin, OperatorSubtaskState ofWindows, int before)
            throws Exception {
        int many = joined == null ? Job.doors(plan, parallelism) : parallelism;
        reached = new long[many];
        java.util.Arrays.fill(reached, Long.MIN_VALUE);
        sent = Long.MIN_VALUE;
        nowMs = 0; // harnesses begin there
        int doorsBefore = doors.size();
        doors.clear();
        slicers.clear();
        windows.clear();
        if (joined != null) {
            joined.start(parallelism, ofJoin, parallelismBefore);
            parallelismBefore = parallelism;
        }
        for (int number = 0; number < many; number++) {
            if (joined == null) {
                Door door = new Door(plan);
                var harness = new OneInputStreamOperatorTestHarness<Event, Event>(door, GROUPS, many, number);
                begin(harness, EventSerializer.INSTANCE, ofDoors, doorsBefore, many, number);
                doors.add(harness);
            }
            if (onTheWire != null) {
                var slicer = new OneInputStreamOperatorTestHarness<Event, Slice>(new Slicer(plan), GROUPS, many, number);
                begin(slicer, onTheWire, null, 0, many, number);
                slicers.add(slicer);
            }
        }
        for (int number = 0; number < parallelism && plan.window() != null; number++) {
            WindowHarness<?> harness = onTheWire == null
                    ? new WindowHarness<>(new WindowOperator(plan), keyOf, parallelism, number)
                    : new WindowHarness<>(new SliceOperator(plan), slice -> slice.key, parallelism, number);
            begin(harness, null, ofWindows, before, parallelism, number);
            windows.add(harness);
        }
    }

    static <T> void begin(
            AbstractStreamOperatorTestHarness<T> harness, PlainSerializer<T> serializer, OperatorSubtaskState state, int before, int many, int number)
            throws Exception {
        if (serializer == null) {
            harness.setup();
        } else {
            harness.setup(serializer);
        }
        if (state != null) {
            harness.initializeState(AbstractStreamOperatorTestHarness.repartitionOperatorState(state, GROUPS, before, many, number));
        }
        harness.open();
    }

    /** One entry goes through the doors and everything that follows from it through the windows. */
    void take(Event event) throws Exception {
        if (joined != null) {
            joined.take(event, late, dead);
            flowFromJoin();
            return;
        }
        int door = Door.of(event.log, plan.logs(), doors.size());
        doors.get(door).processElement(new StreamRecord<>(event));
        if (plan.eventTime() != null && plan.eventTime().idleAfterUs() == Instants.UNKNOWN) {
            nowMs += Door.WAIT_MS / 2; // a watermark that may wait comes with every second or third event
            doors.get(door).setProcessingTime(nowMs);
        }
        flow(door);
    }

    /** Nothing comes for a while: twice as long as a watermark may wait, since behind a restart it may wait twice. */
    void rest() throws Exception {
        for (int turn = 0; turn < 2; turn++) {
            nowMs += Door.WAIT_MS;
            if (joined != null) {
                joined.rest(late, dead);
                flowFromJoin();
            }
            for (int door = 0; door < doors.size(); door++) {
                doors.get(door).setProcessingTime(nowMs);
                flow(door);
            }
        }
    }

    /** The input ends. */
    void finish() throws Exception {
        if (joined != null) {
            joined.finish(late, dead);
            flowFromJoin();
        }
        for (int door = 0; door < doors.size(); door++) {
            doors.get(door).processWatermark(new Watermark(Long.MAX_VALUE));
            flow(door);
        }
    }

    private void flowFromJoin() throws Exception {
        for (int number = 0; number < joined.joins.size(); number++) {
            flow(number, joined.joins.get(number));
        }
    }

    private void flow(int door) throws Exception {
        flow(door, doors.get(door));
    }

    private void flow(int door, AbstractStreamOperatorTestHarness<Event> harness) throws Exception {
        Queue<Object> output = new ArrayDeque<>(harness.getOutput());
        harness.getOutput().clear();
        for (Object one : output) {
            if (plan.window() == null) {
                if (one instanceof StreamRecord<?> record) {
                    rows.add((Event) record.getValue());
                }
            } else if (onTheWire == null) {
                pass(door, one);
            } else {
                slice(door, one);
            }
        }
        drain(harness, Door.LATE, late);
        drain(harness, Door.DEAD, dead);
    }

    private void slice(int door, Object one) throws Exception {
        if (one instanceof Watermark mark) {
            slicers.get(door).processWatermark(mark);
        } else {
            slicers.get(door).processElement(new StreamRecord<>((Event) ((StreamRecord<?>) one).getValue()));
        }
        flowFromSlicer(door);
    }

    private void flowFromSlicer(int door) throws Exception {
        Queue<Object> output = new ArrayDeque<>(slicers.get(door).getOutput());
        slicers.get(door).getOutput().clear();
        for (Object one : output) {
            pass(door, one instanceof StreamRecord<?> record ? new StreamRecord<>(onTheWire.copy((Slice) record.getValue())) : one);
        }
    }

    /** What comes over the wire to the windows. */
    private void pass(int door, Object one) throws Exception {
        if (one instanceof Watermark mark) {
            reached[door] = mark.getTimestamp();
            advance();
        } else {
            Object value = ((StreamRecord<?>) one).getValue();
            int number = KeyGroupRangeAssignment.assignKeyToParallelOperator(windows.get(0).keyOf(value), GROUPS, windows.size());
            windows.get(number).take(value);
            collect(windows.get(number));
        }
    }

    private void advance() throws Exception {
        long least = java.util.Arrays.stream(reached).min().orElseThrow();
        if (least > sent) {
            sent = least;
            for (WindowHarness<?> window : windows) {
                window.processWatermark(new Watermark(least));
                collect(window);
            }
        }
    }

    private void collect(WindowHarness<?> window) {
        results.addAll(window.extractOutputValues());
        window.getOutput().clear();
        drain(window, Door.LATE, late);
    }

    static void drain(AbstractStreamOperatorTestHarness<?> harness, org.apache.flink.util.OutputTag<Event> tag, List<Event> into) {
        var side = harness.getSideOutput(tag);
        if (side != null) {
            side.forEach(record -> into.add(record.getValue()));
            side.clear();
        }
    }

    /** Stops everything and goes on from its state with other operators, as many as are asked for. */
    void restart(int parallelism) throws Exception {
        for (int door = 0; door < slicers.size(); door++) {
            slicers.get(door).prepareSnapshotPreBarrier(1);
            flowFromSlicer(door);
        }
        OperatorSubtaskState ofDoors = joined == null ? snapshot(doors) : null;
        List<OperatorSubtaskState> ofJoin = joined == null ? null : joined.snapshot();
        OperatorSubtaskState ofWindows = plan.window() == null ? null : snapshot(windows);
        int before = windows.size();
        close();
        start(parallelism, ofDoors, ofJoin, ofWindows, before);
    }

    static OperatorSubtaskState snapshot(List<? extends AbstractStreamOperatorTestHarness<?>> harnesses) throws Exception {
        OperatorSubtaskState[] states = new OperatorSubtaskState[harnesses.size()];
        for (int number = 0; number < states.length; number++) {
            states[number] = harnesses.get(number).snapshot(1, 1);
        }
        return AbstractStreamOperatorTestHarness.repackageState(states);
    }

    Account account() {
        Account total = new Account();
        doors.forEach(harness -> total.add(((Door) harness.getOperator()).total()));
        if (joined != null) {
            joined.addTo(total);
        } else {
            windows.forEach(window -> total.add(window.account()));
        }
        return total;
    }

    @Override
    public void close() throws Exception {
        if (joined != null) {
            joined.close();
        }
        for (var harness : doors) {
            harness.close();
        }
        for (var harness : slicers) {
            harness.close();
        }
        for (var harness : windows) {
            harness.close();
        }
    }
}
