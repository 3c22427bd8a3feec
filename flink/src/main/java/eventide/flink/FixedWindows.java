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

    FixedWindows(Plan.Window window, Grid grid) {
        this.aggregates = window.aggregates();
        this.grid = grid;
        this.allowed = window.lateUs();
        this.ending = new Closing(allowed);
        this.onChange = "on_change".equals(window.early());
        this.every = "every".equals(window.early()) ? window.everyUs() : 0;
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
        for (Grid.Bounds bounds : grid.of(event.time)) {
            if (Instants.later(bounds.end(), allowed) > event.before) {
                take(state, key, bounds, event, closing, outlet);
            }
        }
        return judge(event.time, event.before);
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
