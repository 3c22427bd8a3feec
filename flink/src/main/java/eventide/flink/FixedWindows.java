package eventide.flink;

import java.util.List;

/** Tumbling, sliding, calendar and global windows. */
final class FixedWindows implements Windows {
    private final List<Aggregate> aggregates;
    private final Grid grid;
    private final long allowed;
    private final Closing ending;
    private final boolean onChange;
    private final long every;
    private final boolean fill;

    FixedWindows(Plan.Window window, Grid grid) {
        this.aggregates = window.aggregates();
        this.grid = grid;
        this.allowed = window.lateUs();
        this.ending = new Closing(allowed);
        this.onChange = "on_change".equals(window.early());
        this.every = "every".equals(window.early()) ? window.everyUs() : 0;
        this.fill = window.fill();
    }

    @Override
    public Verdict judge(long time, long before) {
        if (allowed == 0) {
            long end = grid.lastEnd(time);
            return end > before || end == Instants.UNKNOWN ? Verdict.ON_TIME : Verdict.LATE;
        }
        List<Grid.Bounds> windows = grid.of(time);
        boolean corrects = false;
        boolean taken = windows.isEmpty();
        for (Grid.Bounds bounds : windows) {
            if (Instants.later(bounds.end(), allowed) > before) {
                taken = true;
                corrects |= bounds.end() <= before;
            }
        }
        return !taken ? Verdict.LATE : corrects ? Verdict.CORRECTED : Verdict.ON_TIME;
    }

    @Override
    public Verdict add(KeyState state, Key key, Event event, long closing, Outlet outlet) {
        if (every > 0) {
            state.ticked = Math.max(state.ticked, closing);
        }
        List<Grid.Bounds> windows = grid.of(event.time);
        if (fill && !windows.isEmpty()) {
            know(state, event, outlet);
        }
        for (Grid.Bounds bounds : windows) {
            if (Instants.later(bounds.end(), allowed) > event.before) {
                take(state, key, bounds, event, closing, outlet);
            }
        }
        return judge(event.time, event.before);
    }

    /** A key is known from the earliest window in which it had an event that was accepted. */
    private void know(KeyState state, Event event, Outlet outlet) {
        Grid.Bounds first = grid.firstOpen(event.time);
        if (event.before > Instants.NO_WATERMARK) {
            Grid.Bounds open = grid.firstOpen(event.before);
            first = open.start() > first.start() ? open : first;
        }
        if (state.next == Instants.NO_WATERMARK || first.start() < state.next) {
            state.next = first.start();
            outlet.wake(first.end());
        }
    }

    /** Empty windows for those without events that have come due. The door does not go beyond the last that may show. */
    private void fillUp(KeyState state, long closing, Outlet outlet) {
        if (closing == Instants.END_OF_TIME) {
            state.next = Instants.NO_WATERMARK;
            return;
        }
        if (state.next == Instants.NO_WATERMARK) {
            return;
        }
        Grid.Bounds bounds = grid.last(state.next);
        while (bounds.end() <= closing) {
            find(state, bounds, outlet);
            bounds = grid.after(bounds);
        }
        if (bounds.start() != state.next) {
            state.next = bounds.start();
            outlet.wake(bounds.end());
        }
    }

    private void take(KeyState state, Key key, Grid.Bounds bounds, Event event, long closing, Outlet outlet) {
        Content content = find(state, bounds, outlet);
        content.add(aggregates, event.values, event);
        boolean isClosed = content.closed || content.end <= closing;
        if (isClosed) {
            outlet.emit(content, key, Mark.REVISION, null, null);
            content.closed = true;
        } else if (onChange) {
            outlet.emit(content, key, Mark.EARLY, null, null);
        }
        content.dirty = !isClosed;
        if (every > 0 && !isClosed) {
            long next = (Math.floorDiv(closing, every) + 1) * every;
            if (next < content.end) {
                outlet.wake(next);
            }
        }
    }

    private Content find(KeyState state, Grid.Bounds bounds, Outlet outlet) {
        for (int place = state.windows.size() - 1; place >= 0; place--) {
            if (state.windows.get(place).start == bounds.start()) {
                return state.windows.get(place);
            }
        }
        Content made = new Content(bounds.start(), bounds.end(), aggregates);
        state.windows.add(made);
        outlet.wake(made.end);
        if (allowed > 0) {
            outlet.wake(Instants.later(made.end, allowed));
        }
        return made;
    }

    @Override
    public void due(KeyState state, Key key, long closing, Outlet outlet) {
        if (fill) {
            fillUp(state, closing, outlet);
        }
        Closing.sort(state);
        if (every > 0) {
            tick(state, key, closing, outlet);
        }
        ending.due(state, key, closing, null, outlet);
    }

    private void tick(KeyState state, Key key, long closing, Outlet outlet) {
        for (Content content : state.windows) {
            boolean passed = Math.floorDiv(state.ticked, every) < Math.floorDiv(closing, every);
            if (content.dirty && passed && content.end > closing) {
                outlet.emit(content, key, Mark.EARLY, null, null);
                content.dirty = false;
            }
        }
        state.ticked = closing;
    }
}
