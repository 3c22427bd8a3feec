package eventide.flink;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/** Sessions of a key of a log: the key holds the log behind its values (decision 0003). */
final class SessionWindows implements Windows {
    private static final Comparator<Content> BY_START = Comparator.comparingLong(one -> one.start);
    private static final Comparator<Content> BY_END = Comparator.<Content>comparingLong(one -> one.end).thenComparingLong(one -> one.start);

    private final List<Aggregate> aggregates;
    private final long gap;
    private final long allowed;
    private final boolean onChange;

    SessionWindows(Plan.Window window) {
        this.aggregates = window.aggregates();
        this.gap = window.gapUs();
        this.allowed = window.lateUs();
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
        Content merged = merged(touched, event);
        state.windows.removeAll(touched);
        touched.sort(BY_START);
        for (Content old : touched) {
            if (old.out && (old.start != merged.start || old.end != merged.end)) {
                outlet.emit(old, key, old.closed ? Mark.RETRACT : Mark.RETRACT_EARLY, event.log, null);
            }
        }
        state.windows.add(merged);
        merged.closed = merged.end <= closing;
        if (merged.closed || onChange) {
            outlet.emit(merged, key, merged.closed ? Mark.REVISION : Mark.EARLY, event.log, null);
        }
        outlet.wake(merged.end);
        if (allowed > 0) {
            outlet.wake(Instants.later(merged.end, allowed));
        }
        return merged.end <= event.before ? Verdict.CORRECTED : Verdict.ON_TIME;
    }

    private Content merged(List<Content> touched, Event event) {
        Content merged = new Content(event.time, event.time + gap, aggregates);
        for (Content old : touched) {
            merged.start = Math.min(merged.start, old.start);
            merged.end = Math.max(merged.end, old.end);
            merged.next = Math.max(merged.next, old.next);
            merged.merge(old);
        }
        merged.add(aggregates, event.values, event);
        return merged;
    }

    @Override
    public void due(KeyState state, Key key, long closing, Outlet outlet) {
        String log = (String) key.values[key.values.length - 1];
        state.windows.sort(BY_END);
        for (Iterator<Content> all = state.windows.iterator(); all.hasNext(); ) {
            Content content = all.next();
            if (!content.closed && content.end <= closing) {
                boolean isFinal = isFinal(content, closing);
                outlet.emit(content, key, isFinal ? Mark.FIRST_AND_FINAL : Mark.FIRST, log, null);
                content.closed = true;
                if (isFinal) {
                    all.remove();
                }
            }
        }
        for (Iterator<Content> all = state.windows.iterator(); all.hasNext(); ) {
            Content content = all.next();
            if (content.closed && isFinal(content, closing)) {
                outlet.emit(content, key, Mark.CLOSING, log, null);
                all.remove();
            }
        }
    }

    private boolean isFinal(Content content, long closing) {
        return Instants.later(content.end, allowed) <= closing || closing == Instants.END_OF_TIME;
    }
}
