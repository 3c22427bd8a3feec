package eventide.flink;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/** The windows of all keys, where they are made of slices. Each comes out once, when the watermark reaches its end. */
final class SliceOperator extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<Slice, Row>, Triggerable<Key, VoidNamespace> {
    private final Plan.Window window;
    private final Slicing slicing;

    private transient InternalTimerService<VoidNamespace> timers;
    private transient ValueState<KeyState> states;

    SliceOperator(Plan plan) {
        this.window = plan.window();
        this.slicing = Slicing.of(plan);
    }

    @Override
    public void open() throws Exception {
        super.open();
        states = getPartitionedState(new ValueStateDescriptor<>("windows", new KeyState.Serializer(window.aggregates())));
        timers = getInternalTimerService("windows", VoidNamespaceSerializer.INSTANCE, this);
    }

    @Override
    public void processElement(StreamRecord<Slice> record) throws Exception {
        KeyState state = states.value();
        if (state == null) {
            state = new KeyState();
        }
        Slice slice = record.getValue();
        if (slicing.end(slice.from) <= reached()) {
            throw new IllegalStateException("a slice came behind its window: the watermark was ahead of its door");
        }
        if (slice.from < earliest(state.slices)) {
            wake(slice.from);
        }
        put(state.slices, slice);
        states.update(state);
    }

    /** Where the first window begins that is not out yet. */
    private static long earliest(List<Slice> slices) {
        long earliest = Long.MAX_VALUE;
        for (Slice slice : slices) {
            earliest = Math.min(earliest, slice.from);
        }
        return earliest;
    }

    private static void put(List<Slice> slices, Slice slice) {
        for (Slice known : slices) {
            if (known.counts(slice)) {
                known.merge(slice);
                return;
            }
        }
        slices.add(slice);
    }

    /** One timer a key is enough: when it fires, it sets the next one. */
    private void wake(long from) {
        timers.registerEventTimeTimer(VoidNamespace.INSTANCE, Instants.toFlink(slicing.end(from)));
    }

    private long reached() {
        return Instants.fromFlink(timers.currentWatermark());
    }

    @Override
    public void onEventTime(InternalTimer<Key, VoidNamespace> timer) throws Exception {
        KeyState state = states.value();
        if (state == null) {
            return; // a window that ended together with another one
        }
        long closing = reached();
        due(state.slices, closing).forEach((start, parts) -> emit(timer.getKey(), start, parts));
        List<Slice> open = new ArrayList<>(state.slices.size());
        for (Slice slice : state.slices) {
            if (slicing.end(slice.start) > closing) {
                slice.from = Math.max(slice.from, slicing.from(slice.start, closing));
                put(open, slice);
            }
        }
        if (open.isEmpty()) {
            states.clear();
        } else {
            state.slices.clear();
            state.slices.addAll(open);
            states.update(state);
            wake(earliest(open));
        }
    }

    /** The slices of each window that has ended, by its start. */
    private Map<Long, List<Slice>> due(List<Slice> slices, long closing) {
        Map<Long, List<Slice>> ended = new TreeMap<>();
        for (Slice slice : slices) {
            for (long start = slice.from; start <= slice.start && slicing.end(start) <= closing; start += slicing.slide()) {
                ended.computeIfAbsent(start, absent -> new ArrayList<>(1)).add(slice);
            }
        }
        return ended;
    }

    private void emit(Key key, long start, List<Slice> parts) {
        Term[] terms = parts.get(0).terms;
        if (parts.size() > 1) {
            Slice whole = new Slice(key, start, start, Content.terms(window.aggregates()));
            parts.forEach(whole::merge);
            terms = whole.terms;
        }
        Content content = new Content(start, slicing.end(start), terms);
        output.collect(new StreamRecord<>(Windows.row(window, content, key, Windows.Mark.FIRST_AND_FINAL, null, null)));
    }

    @Override
    public void onProcessingTime(InternalTimer<Key, VoidNamespace> timer) {
        throw new IllegalStateException("windows set no timers by the clock on the wall");
    }
}
