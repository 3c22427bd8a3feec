package eventide.flink;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedTwoInputStreamOperatorTestHarness;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;

/** The doors of both sides of a join and the operators that pair their rows, each in a test harness. */
final class JoinStage {
    private final Plan plan;
    private final List<List<OneInputStreamOperatorTestHarness<Event, Event>>> doors = List.of(new ArrayList<>(), new ArrayList<>());
    private final List<long[]> reached = new ArrayList<>();
    private final long[] sent = new long[2];
    private long nowMs;

    final List<KeyedTwoInputStreamOperatorTestHarness<Key, Event, Event, Event>> joins = new ArrayList<>();

    JoinStage(Plan plan) {
        this.plan = plan;
    }

    /** States of the left doors, the right ones and the joins; null for a fresh start. */
    void start(int parallelism, List<OperatorSubtaskState> states, int before) throws Exception {
        joins.clear();
        reached.clear();
        Arrays.fill(sent, Long.MIN_VALUE);
        for (int side = 0; side < 2; side++) {
            Plan of = plan.join().sides().get(side);
            int many = Job.doors(of, parallelism);
            int doorsBefore = doors.get(side).size();
            doors.get(side).clear();
            reached.add(new long[many]);
            Arrays.fill(reached.get(side), Long.MIN_VALUE);
            for (int number = 0; number < many; number++) {
                var door = new OneInputStreamOperatorTestHarness<Event, Event>(new Door(of), Stage.GROUPS, many, number);
                Stage.begin(door, EventSerializer.INSTANCE, states == null ? null : states.get(side), doorsBefore, many, number);
                doors.get(side).add(door);
            }
        }
        for (int number = 0; number < parallelism; number++) {
            var join = new KeyedTwoInputStreamOperatorTestHarness<>(
                    new JoinOperator(plan), Joined.keyOf(plan, 0), Joined.keyOf(plan, 1), PlainType.KEY, Stage.GROUPS, parallelism, number);
            Stage.begin(join, EventSerializer.INSTANCE, states == null ? null : states.get(2), before, parallelism, number);
            joins.add(join);
        }
    }

    List<OperatorSubtaskState> snapshot() throws Exception {
        return List.of(Stage.snapshot(doors.get(0)), Stage.snapshot(doors.get(1)), Stage.snapshot(joins));
    }

    void take(Event event, List<Event> late, List<Event> dead) throws Exception {
        int side = plan.join().sides().get(0).logs().contains(event.log) ? 0 : 1;
        Plan of = plan.join().sides().get(side);
        int number = Door.of(event.log, of.logs(), doors.get(side).size());
        var door = doors.get(side).get(number);
        door.processElement(new StreamRecord<>(event));
        nowMs += Door.WAIT_MS / 2; // the watermark comes with every second or third event
        if (of.eventTime().idleAfterUs() == Instants.UNKNOWN) {
            door.setProcessingTime(nowMs);
        }
        flow(side, number, late, dead);
    }

    /** Nothing comes for a while. */
    void rest(List<Event> late, List<Event> dead) throws Exception {
        nowMs += 2 * Door.WAIT_MS;
        for (int side = 0; side < 2; side++) {
            for (int number = 0; number < doors.get(side).size(); number++) {
                doors.get(side).get(number).setProcessingTime(nowMs);
                flow(side, number, late, dead);
            }
        }
    }

    void finish(List<Event> late, List<Event> dead) throws Exception {
        for (int side = 0; side < 2; side++) {
            for (int number = 0; number < doors.get(side).size(); number++) {
                doors.get(side).get(number).processWatermark(new Watermark(Long.MAX_VALUE));
                flow(side, number, late, dead);
            }
        }
    }

    private void flow(int side, int number, List<Event> late, List<Event> dead) throws Exception {
        var door = doors.get(side).get(number);
        Queue<Object> output = new ArrayDeque<>(door.getOutput());
        door.getOutput().clear();
        for (Object one : output) {
            if (one instanceof Watermark mark) {
                reached.get(side)[number] = mark.getTimestamp();
                advance(side);
            } else {
                pass(side, (Event) ((StreamRecord<?>) one).getValue());
            }
        }
        Stage.drain(door, Door.LATE, late);
        Stage.drain(door, Door.DEAD, dead);
    }

    private void pass(int side, Event event) throws Exception {
        Key key = Joined.keyOf(plan, side).getKey(event);
        var join = joins.get(KeyGroupRangeAssignment.assignKeyToParallelOperator(key, Stage.GROUPS, joins.size()));
        if (side == 0) {
            join.processElement1(new StreamRecord<>(event));
        } else {
            join.processElement2(new StreamRecord<>(event));
        }
    }

    private void advance(int side) throws Exception {
        long least = Arrays.stream(reached.get(side)).min().orElseThrow();
        if (least > sent[side]) {
            sent[side] = least;
            for (var join : joins) {
                if (side == 0) {
                    join.processWatermark1(new Watermark(least));
                } else {
                    join.processWatermark2(new Watermark(least));
                }
            }
        }
    }

    /** How many rows wait for partners. */
    int waiting() {
        return joins.stream().mapToInt(KeyedTwoInputStreamOperatorTestHarness::numKeyedStateEntries).sum();
    }

    void addTo(Account total) {
        doors.forEach(side -> side.forEach(harness -> total.add(((Door) harness.getOperator()).total())));
    }

    void close() throws Exception {
        for (var side : doors) {
            for (var harness : side) {
                harness.close();
            }
        }
        for (var harness : joins) {
            harness.close();
        }
    }
}
