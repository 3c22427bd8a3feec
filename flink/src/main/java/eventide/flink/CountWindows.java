package eventide.flink;

import java.util.Comparator;
import java.util.List;

/** So many events of a key in event-time order, closed after a timeout at the latest (decision 0003). */
final class CountWindows implements Windows {
    private static final Comparator<Event> IN_ORDER = Comparator.<Event>comparingLong(one -> one.time)
            .thenComparing(one -> one.log, Values::compareTexts)
            .thenComparingLong(one -> one.offset);

    private final List<Aggregate> aggregates;
    private final long size;
    private final long timeout;

    CountWindows(Plan.Window window) {
        this.aggregates = window.aggregates();
        this.size = window.count();
        this.timeout = window.timeoutUs();
    }

    @Override
    public Verdict judge(long time, long before) {
        return time < before ? Verdict.LATE : Verdict.ON_TIME;
    }

    @Override
    public Verdict add(KeyState state, Key key, Event event, long closing, Outlet outlet) {
        state.waiting.add(event);
        outlet.wake(event.time + 1);
        if (timeout == Instants.UNKNOWN) {
            outlet.wake(Instants.END_OF_TIME); // what is left over makes a last window
        }
        return Verdict.ON_TIME;
    }

    @Override
    public void due(KeyState state, Key key, long closing, Outlet outlet) {
        state.waiting.sort(IN_ORDER);
        for (Content content = next(state, closing, outlet); content != null; content = next(state, closing, outlet)) {
            outlet.emit(content, key, Mark.FIRST_AND_FINAL, null, state.number++);
        }
    }

    /** The first window of the waiting events, taken from them, if it is due. */
    private Content next(KeyState state, long closing, Outlet outlet) {
        List<Event> waiting = state.waiting;
        if (waiting.isEmpty() || waiting.get(0).time >= closing) {
            return null;
        }
        long start = waiting.get(0).time;
        boolean times = timeout != Instants.UNKNOWN;
        long until = times ? Math.min(closing, start + timeout) : closing;
        int members = 0;
        while (members < Math.min(size, waiting.size()) && waiting.get(members).time < until) {
            members++;
        }
        long end;
        if (members == size) {
            end = waiting.get(members - 1).time + 1;
        } else if (times && start + timeout <= closing) {
            end = start + timeout;
        } else if (!times && closing == Instants.END_OF_TIME) {
            end = waiting.get(members - 1).time + 1;
        } else {
            if (times) {
                outlet.wake(start + timeout);
            }
            return null;
        }
        Content content = new Content(start, end, aggregates);
        for (Event event : waiting.subList(0, members)) {
            content.add(aggregates, event.values, event);
        }
        waiting.subList(0, members).clear();
        return content;
    }
}
