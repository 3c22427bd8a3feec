package eventide.flink;

import java.io.Serializable;
import org.apache.flink.types.Row;

/**
 * One kind of windows, over the state of one key. Law: decisions 0003 and 0004, step by step: {@code add} judges an event and takes it
 * in, {@code due} gives out what the closing watermark has reached.
 */
interface Windows extends Serializable {
    /** What became of an event. */
    enum Verdict {
        ON_TIME,
        CORRECTED,
        LATE
    }

    /** Where rows go and who is told when the watermark has reached an instant. */
    interface Outlet {
        void emit(Content content, Key key, Mark mark, String log, Long number);

        /** Asks for {@code due} once the closing watermark has reached {@code instant}. */
        void wake(long instant);
    }

    /** Why a row comes out. */
    enum Mark {
        FIRST(false, false),
        FIRST_AND_FINAL(true, false),
        REVISION(false, false),
        EARLY(false, true),
        CLOSING(true, false),
        RETRACT(false, false),
        RETRACT_EARLY(false, true);

        final boolean isFinal;
        final boolean isEarly;

        Mark(boolean isFinal, boolean isEarly) {
            this.isFinal = isFinal;
            this.isEarly = isEarly;
        }

        boolean isRetraction() {
            return this == RETRACT || this == RETRACT_EARLY;
        }

        /** The row has the number of the one before: it says nothing new of the content. */
        boolean repeats() {
            return this == CLOSING || isRetraction();
        }
    }

    Verdict add(KeyState state, Key key, Event event, long closing, Outlet outlet);

    void due(KeyState state, Key key, long closing, Outlet outlet);

    /** The verdict alone, where it needs no state; null where it does (sessions). */
    Verdict judge(long time, long before);

    static Windows of(Plan.Window window) {
        return switch (window.kind()) {
            case "session" -> new SessionWindows(window);
            case "count" -> new CountWindows(window);
            default -> new FixedWindows(window, Grid.of(window));
        };
    }

    /** A result row: keys, bounds, aggregates, marks. */
    static Row row(Plan.Window window, Content content, Key key, Mark mark, String log, Long number) {
        int keys = window.keys().size();
        int aggregates = window.aggregates().size();
        Row row = new Row(keys + 2 + aggregates + 6);
        for (int place = 0; place < keys; place++) {
            row.setField(place, key.values[place]);
        }
        boolean isGlobal = window.kind().equals("global");
        row.setField(keys, isGlobal ? null : content.start);
        row.setField(keys + 1, isGlobal ? null : content.end);
        for (int place = 0; place < aggregates; place++) {
            row.setField(keys + 2 + place, window.aggregates().get(place).result(content.terms[place], content.start, content.end));
        }
        int marks = keys + 2 + aggregates;
        row.setField(marks, (long) (mark.repeats() ? content.next - 1 : content.next));
        row.setField(marks + 1, mark.isFinal);
        row.setField(marks + 2, mark.isEarly);
        row.setField(marks + 3, mark.isRetraction() ? "retract" : "upsert");
        row.setField(marks + 4, log);
        row.setField(marks + 5, number);
        return row;
    }
}
