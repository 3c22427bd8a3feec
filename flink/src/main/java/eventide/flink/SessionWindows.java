package eventide.flink;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Sessions of a key of a log: the key holds the log behind its values (decision 0003). */
final class SessionWindows implements Windows {
    private static final Comparator<Content> BY_START = Comparator.comparingLong(one -> one.start);

    private final List<Aggregate> aggregates;
    private final long gap;
    private final long allowed;
    private final Closing ending;
    private final boolean onChange;

    SessionWindows(Plan.Window window) {
        this.aggregates = window.aggregates();
        this.gap = window.gapUs();
        this.allowed = window.lateUs();
        this.ending = new Closing(allowed);
        this.onChange = window.early() != null;
    }

    @Override
    public Verdict judge(long time, long before) {
        return null;
    }

    @Override
    public Verdict add(KeyState state, Key key, Event event, long closing, Outlet outlet) {
        List<Content> touched = new ArrayList<>();
        for (Content one : state.windows) {
            boolean meets = one.start <= event.time + gap && one.end >= event.time;
            if (meets && Instants.later(one.end, allowed) > event.before) {
                touched.add(one);
            }
        }
        if (touched.isEmpty() && Instants.later(event.time + gap, allowed) <= event.before) {
            return Verdict.LATE;
        }
        Content merged = touched.size() == 1 && !touched.get(0).out ? grown(touched.get(0), event) : merged(state, key, touched, event, outlet);
        merged.closed = merged.end <= closing;
        if (merged.closed || onChange) {
            outlet.emit(merged, key, merged.closed ? Mark.REVISION : Mark.EARLY, event.log, null);
        }
        wake(merged, outlet);
        return merged.end <= event.before ? Verdict.CORRECTED : Verdict.ON_TIME;
    }

    /** A session of which nobody has heard grows as it stands. */
    private Content grown(Content content, Event event) {
        content.start = Math.min(content.start, event.time);
        content.end = Math.max(content.end, event.time + gap);
        content.add(aggregates, event.values, event);
        return content;
    }

    /** Sessions that an event joins are one; what has come out of them is taken back. */
    private Content merged(KeyState state, Key key, List<Content> touched, Event event, Outlet outlet) {
        Content merged = joined(touched, event);
        state.windows.removeAll(touched);
        touched.sort(BY_START);
        for (Content old : touched) {
            if (old.out && (old.start != merged.start || old.end != merged.end)) {
                outlet.emit(old, key, old.closed ? Mark.RETRACT : Mark.RETRACT_EARLY, event.log, null);
            }
        }
        state.windows.add(merged);
        return merged;
    }

    private Content joined(List<Content> touched, Event event) {
        Content merged = new Content(event.time, event.time + gap, aggregates);
        for (Content old : touched) {
            merged.start = Math.min(merged.start, old.start);
            merged.end = Math.max(merged.end, old.end);
            merged.next = Math.max(merged.next, old.next);
            merged.wakes = merged.wakes == Instants.NO_WATERMARK ? old.wakes : Math.min(merged.wakes, old.wakes);
            merged.merge(old);
        }
        merged.add(aggregates, event.values, event);
        return merged;
    }

    @Override
    public void due(KeyState state, Key key, long closing, Outlet outlet) {
        String log = (String) key.values[key.values.length - 1];
        Closing.sort(state);
        ending.due(state, key, closing, log, outlet);
        for (Content content : state.windows) {
            if (content.wakes <= closing) {
                content.wakes = Instants.NO_WATERMARK;
                wake(content, outlet);
            }
        }
    }

    /** One call at a time is enough: when it comes, the next one is asked for. Ends only move on. */
    private void wake(Content content, Outlet outlet) {
        long next = ending.next(content);
        if (content.wakes == Instants.NO_WATERMARK || next < content.wakes) {
            content.wakes = next;
            outlet.wake(next);
        }
    }
}
