package eventide.flink;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * The door: guards and clocks. Every row passes here once and gets the watermark that judges it.
 *
 * <p>Law: a refused row never touches a clock; all rows of a log meet the same door in their order. The door's own watermark, in
 * microseconds, is the smallest of its logs: Flink takes the smallest of all doors.
 */
final class Door extends AbstractStreamOperator<Event> implements OneInputStreamOperator<Event, Event> {
    static final OutputTag<Event> LATE = new OutputTag<>("late", PlainType.EVENT);
    static final OutputTag<Event> DEAD = new OutputTag<>("dead_letters", PlainType.EVENT);

    /** So long the windows wait for the watermark at most, where they may. */
    static final long WAIT_MS = 10;

    private final Plan plan;
    private final Guards guards;
    private final Windows windows;
    private final int time;
    private final int keep;
    private final int keepBehind;
    private final boolean byKey;
    private final int[] kept;
    private final Grain grain;
    /** The watermark moves with almost every event, and nothing changes when the windows hear of it a little later. */
    private final boolean mayWait;
    private final Grid filled;

    private transient Clocks clocks;
    private transient ListState<byte[]> saved;
    private transient ListState<Long> savedStream;
    private transient ListState<Long> savedTop;
    private transient ListState<byte[]> savedClosed;
    /** Where empty windows show: the end of the last window that has an event; they show up to there. */
    private transient long top;
    private transient long sent;
    private transient long sentGrain;
    private transient Counters counters;
    private transient LogClock last;
    /** The windows are about to be told how far the door is. */
    private transient boolean timed;

    Door(Plan plan) {
        this.plan = plan;
        this.guards = plan.eventTime() == null ? null : Guards.of(plan);
        this.windows = plan.window() == null ? null : Windows.of(plan.window());
        this.time = plan.eventTime() == null ? -1 : plan.place(plan.time());
        this.keep = plan.placeOrNone("_keep");
        this.keepBehind = plan.placeOrNone("_keep_behind");
        this.byKey = plan.closesByKey();
        boolean isSide = plan.side() != null;
        this.kept = plan.window() != null ? Narrow.places(plan) : isSide ? plan.places(plan.side().hands()) : null;
        this.grain = plan.window() != null ? Grain.of(plan.window()) : isSide ? new Grain(1, 0) : null;
        this.mayWait = isSide || plan.window() != null && Grain.mayWait(plan);
        this.filled = plan.window() != null && plan.window().fill() ? Grid.of(plan.window()) : null;
    }

    /** Which of the doors a log belongs to. Logs that are known beforehand are dealt out in turn. */
    static int of(String log, List<String> logs, int doors) {
        int place = logs.indexOf(log);
        return Math.floorMod(place < 0 ? log.hashCode() : place, doors);
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        Plan.EventTime settings = plan.eventTime();
        clocks = new Clocks(
                settings,
                settings == null || settings.marker() == null ? -1 : plan.place(settings.marker()),
                settings == null || settings.clockKey() == null ? -1 : plan.place(settings.clockKey()));
        sent = Instants.NO_WATERMARK;
        sentGrain = Long.MIN_VALUE;
        List<String> logs = plan.logs();
        int mine = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        int doors = getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks();
        logs.stream().filter(log -> of(log, logs, doors) == mine).forEach(clocks::of);
        saved = context.getOperatorStateStore()
                .getUnionListState(new ListStateDescriptor<>("logs", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        savedStream = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("stream", Types.LONG));
        savedTop = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("top", Types.LONG));
        savedClosed = context.getOperatorStateStore()
                .getUnionListState(new ListStateDescriptor<>("closed", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        top = Instants.NO_WATERMARK;
        if (context.isRestored()) {
            for (long one : savedTop.get()) {
                top = Math.max(top, one);
            }
            for (byte[] bytes : saved.get()) {
                LogClock clock = LogClock.of(bytes, settings);
                if (of(clock.log, logs, doors) == mine) {
                    clocks.put(clock);
                }
            }
            long least = Instants.END_OF_TIME;
            for (long stream : savedStream.get()) {
                least = Math.min(least, stream);
            }
            clocks.restoreStream(least == Instants.END_OF_TIME ? Instants.NO_WATERMARK : least);
            Map<Object, Long> closed = new HashMap<>();
            for (byte[] bytes : savedClosed.get()) {
                DataInputDeserializer in = new DataInputDeserializer(bytes);
                closed.put(Values.read(in), in.readLong());
            }
            clocks.restoreClosed(closed);
            clocks.settle(); // what was saved is the least of all doors, and these logs may all be further
        }
    }

    @Override
    public void open() throws Exception {
        super.open();
        counters = new Counters(getRuntimeContext());
        for (String name : new Account().named().keySet()) {
            getMetricGroup().gauge(name, () -> total().named().get(name));
        }
        getMetricGroup().gauge("watermark_us", () -> clocks.stream());
        if (looksForSilence()) {
            long now = getProcessingTimeService().getCurrentProcessingTime();
            clocks.all().forEach(clock -> clock.seenMs = now);
            lookForSilence();
        }
        if (clocks.stream() != Instants.NO_WATERMARK) { // Flink forgets watermarks: a log of which nothing more comes would hold up the windows
            getProcessingTimeService().registerTimer(getProcessingTimeService().getCurrentProcessingTime() + WAIT_MS, at -> send());
        }
    }

    private boolean looksForSilence() {
        return plan.eventTime() != null && plan.eventTime().idleAfterUs() != Instants.UNKNOWN;
    }

    /** The account of this door's logs. */
    Account total() {
        Account total = new Account();
        clocks.all().forEach(clock -> total.add(clock.account));
        return total;
    }

    @Override
    public void processElement(StreamRecord<Event> record) {
        Event event = record.getValue();
        LogClock clock = clockOf(event.log);
        if (event.kind == Event.ROW || event.kind == Event.REFUSED) {
            long before = clock.isAlive() ? clock.watermark : Instants.NO_WATERMARK;
            take(event, clock);
            if (clock.watermark != before) {
                clocks.settle(before);
                send();
            } else if (filled != null) {
                send();
            }
            return;
        }
        switch (event.kind) {
            case Event.HEARTBEAT -> {
                clocks.comeBack(clock);
                clock.watermark = Math.max(clock.watermark, event.time);
            }
            case Event.IDLE -> clocks.leave(clock, false);
            case Event.FINISHED -> clocks.leave(clock, true);
            default -> throw new IllegalStateException("an event of the unknown kind " + event.kind);
        }
        settle();
    }

    /** Logs have left or come back without a row. */
    private void settle() {
        clocks.settle();
        if (plan.eventTime() != null && plan.eventTime().closesWhenIdle() && clocks.areAllSilent()) {
            closeOpenWindows();
        }
        send();
    }

    /** Every window that has an event ends. */
    private void closeOpenWindows() {
        long front = clocks.front();
        if (front != Instants.NO_WATERMARK) {
            boolean byCalendar = plan.window() != null && plan.window().kind().equals("calendar");
            clocks.close(byCalendar ? Grid.of(plan.window()).lastEnd(front) : Instants.later(front, guards.reachUs()));
        }
    }

    private LogClock clockOf(String log) {
        if (last == null || !last.log.equals(log)) {
            last = clocks.of(log);
            if (last.seenMs == 0 && looksForSilence()) { // found just now: its silence begins here
                last.seenMs = getProcessingTimeService().getCurrentProcessingTime();
            }
        }
        return last;
    }

    private void take(Event event, LogClock clock) {
        clock.account.received++;
        if (event.kind == Event.REFUSED) {
            clock.account.deadLetters++;
            output.collect(DEAD, new StreamRecord<>(event));
            return;
        }
        if (keep >= 0 && !Boolean.TRUE.equals(event.values[keep])) {
            clock.account.filtered++;
            return;
        }
        if (guards == null) { // without event time nothing is judged
            clock.account.onTime++;
            output.collect(new StreamRecord<>(event));
            return;
        }
        String refusal = guards.refusal(event.values[time], event.arrival);
        if (refusal != null) {
            clock.account.deadLetters++;
            output.collect(DEAD, new StreamRecord<>(Refused.of(event, refusal, plan)));
            return;
        }
        event.time = (Long) event.values[time];
        clock.seenMs = looksForSilence() ? getProcessingTimeService().getCurrentProcessingTime() : 0;
        if (byKey) {
            event.closed = clocks.closing(event.values);
        }
        clocks.comeBack(clock);
        event.before = clocks.before(clock, event.values);
        clocks.observe(clock, event.values, event.time);
        if (byKey) {
            event.closing = clocks.closing(event.values);
        }
        if (windows == null) {
            pass(event, clock);
            return;
        }
        if (keepBehind >= 0 && !Boolean.TRUE.equals(event.values[keepBehind])) {
            clock.account.filtered++;
            return;
        }
        Windows.Verdict verdict = windows.judge(event.time, event.before);
        if (verdict != null) {
            clock.account.count(verdict);
        }
        if (verdict == Windows.Verdict.LATE) {
            if (!"drop".equals(plan.window().policy())) {
                output.collect(LATE, new StreamRecord<>(event));
            }
            return;
        }
        if (filled != null) {
            event.closed = Math.min(event.closed, top);
            top = Math.max(top, filled.lastEnd(event.time));
            event.closing = Math.min(event.closing, top);
        }
        if (verdict != null) {
            event.values = Narrow.of(event.values, kept);
        }
        output.collect(new StreamRecord<>(event));
    }

    /** Without windows a row behind its watermark is late, whatever filters behind the door say of it. */
    private void pass(Event event, LogClock clock) {
        if (event.time < event.before) {
            clock.account.late++;
            output.collect(LATE, new StreamRecord<>(event));
        } else if (keepBehind >= 0 && !Boolean.TRUE.equals(event.values[keepBehind])) {
            clock.account.filtered++;
        } else {
            clock.account.onTime++;
            if (kept != null) {
                event.values = Narrow.of(event.values, kept);
            }
            output.collect(new StreamRecord<>(event));
        }
    }

    /** Tells the windows how far the door is, whenever it has passed an instant at which one of them may be due. */
    private void send() {
        long stream = clocks.stream();
        if (filled == null) {
            send(stream);
            return;
        }
        send(Math.min(stream, top));
        if (stream == Instants.END_OF_TIME) {
            send(stream);
        }
    }

    private void send(long stream) {
        if (stream == sent || grain == null) {
            return;
        }
        long reached = stream == Instants.END_OF_TIME ? Long.MAX_VALUE : grain.of(stream);
        if (reached == sentGrain) {
            return;
        }
        if (mayWait && stream != Instants.END_OF_TIME) {
            tellSoon(getProcessingTimeService().getCurrentProcessingTime());
            return;
        }
        tell(stream, reached);
    }

    private void tell(long stream, long reached) {
        sent = stream;
        sentGrain = reached;
        output.emitWatermark(new Watermark(Instants.toFlink(stream)));
    }

    private void tellSoon(long now) {
        if (!timed) {
            timed = true;
            getProcessingTimeService().registerTimer(now + WAIT_MS, at -> {
                timed = false;
                tellNow();
            });
        }
    }

    private void tellNow() {
        long stream = clocks.stream();
        if (mayWait && stream != sent) {
            tell(stream, stream);
        }
    }

    /** What a checkpoint has seen has come out of the windows in front of it. */
    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        tellNow();
    }

    /** Only the end of all input comes from in front of the door: what time it is, the door itself finds out. */
    @Override
    public void processWatermark(Watermark mark) {
        if (mark.getTimestamp() == Long.MAX_VALUE) {
            clocks.finish();
            send();
        }
    }

    private void lookForSilence() {
        long afterMs = Math.max(plan.eventTime().idleAfterUs() / 1000, 1);
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now + Math.max(afterMs / 4, 1), at -> {
            for (LogClock clock : clocks.all()) {
                if (clock.isAlive() && at - clock.seenMs >= afterMs) {
                    clocks.leave(clock, false);
                }
            }
            settle();
            lookForSilence();
        });
    }

    private void tell() {
        clocks.all().forEach(clock -> counters.tell(clock.log, clock.account));
        if (plan.eventTime() != null && plan.side() == null) { // a join tells how far its sides have come together
            counters.tell(clocks.stream());
        }
    }

    @Override
    public void finish() throws Exception {
        tell();
        super.finish();
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        tell();
        saved.clear();
        for (LogClock clock : clocks.all()) {
            saved.add(clock.toBytes());
        }
        savedStream.update(List.of(clocks.stream()));
        savedTop.update(List.of(top));
        savedClosed.clear();
        for (Map.Entry<Object, Long> one : clocks.closed().entrySet()) {
            DataOutputSerializer out = new DataOutputSerializer(32);
            Values.write(one.getKey(), out);
            out.writeLong(one.getValue());
            savedClosed.add(out.getCopyOfBuffer());
        }
    }
}
