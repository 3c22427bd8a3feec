package eventide.flink;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Behind a door: events of a key that meet the same windows travel together. Law: nothing waits here when the watermark moves or a
 * checkpoint is made, so it keeps no state and no window misses a row.
 */
final class Slicer extends AbstractStreamOperator<Slice> implements OneInputStreamOperator<Event, Slice> {
    /** So many slices of keys wait at most. */
    private static final int MOST = 20_000;

    private final Slicing slicing;
    private final List<Aggregate> aggregates;
    private final int keys;

    /** Slices by key (a text alone stands for its key), for a place in time and the first window that counts. */
    private record Pane(long start, long from, Map<Object, Slice> slices) {}

    private record Place(long start, long from) {}

    private transient Map<Place, Pane> panes;
    private transient Pane last;
    private transient int waiting;

    Slicer(Plan plan) {
        this.slicing = Slicing.of(plan);
        this.aggregates = plan.window().aggregates();
        this.keys = plan.window().keys().size();
    }

    @Override
    public void open() throws Exception {
        super.open();
        panes = new HashMap<>();
    }

    @Override
    public void processElement(StreamRecord<Event> record) {
        Event event = record.getValue();
        long start = slicing.start(event.time);
        Map<Object, Slice> slices = paneOf(start, slicing.from(start, event.before)).slices;
        Object name = keys == 1 && event.values[0] instanceof String text ? text : Key.of(event.values, keys);
        Slice slice = slices.get(name);
        if (slice == null) {
            slice = new Slice(Key.of(event.values, keys), start, last.from, Content.terms(aggregates));
            slices.put(name, slice);
            waiting++;
        }
        Content.add(slice.terms, aggregates, event.values, keys, event);
        if (waiting >= MOST) {
            flush();
        }
    }

    private Pane paneOf(long start, long from) {
        if (last == null || last.start != start || last.from != from) {
            last = panes.computeIfAbsent(new Place(start, from), place -> new Pane(start, from, new HashMap<>()));
        }
        return last;
    }

    private void flush() {
        for (Pane pane : panes.values()) {
            for (Slice slice : pane.slices.values()) {
                output.collect(new StreamRecord<>(slice));
            }
        }
        panes.clear();
        last = null;
        waiting = 0;
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        flush();
        super.processWatermark(mark);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        flush();
    }

    @Override
    public void finish() {
        flush();
    }
}
