package eventide.flink;

import java.io.Serializable;
import java.util.Comparator;
import java.util.Iterator;

/** How windows with bounds close: the first row at their end, the closing one after the allowed lateness; both in one without it. */
record Closing(long allowed) implements Serializable {
    private static final Comparator<Content> BY_END = Comparator.<Content>comparingLong(one -> one.end).thenComparingLong(one -> one.start);

    /** Gives out what the watermark has reached, earlier ends first. {@code log} stands in the rows. */
    void due(KeyState state, Key key, long closing, String log, Windows.Outlet outlet) {
        for (Iterator<Content> all = state.windows.iterator(); all.hasNext(); ) {
            Content content = all.next();
            if (!content.closed && content.end <= closing) {
                boolean isFinal = isFinal(content, closing);
                outlet.emit(content, key, isFinal ? Windows.Mark.FIRST_AND_FINAL : Windows.Mark.FIRST, log, null);
                content.closed = true;
                if (isFinal) {
                    all.remove();
                }
            }
        }
        for (Iterator<Content> all = state.windows.iterator(); all.hasNext(); ) {
            Content content = all.next();
            if (content.closed && isFinal(content, closing)) {
                outlet.emit(content, key, Windows.Mark.CLOSING, log, null);
                all.remove();
            }
        }
    }

    /** The order in which windows come out. */
    static void sort(KeyState state) {
        if (state.windows.size() > 1) {
            state.windows.sort(BY_END);
        }
    }

    private boolean isFinal(Content content, long closing) {
        return Instants.later(content.end, allowed) <= closing || closing == Instants.END_OF_TIME;
    }

    /** The next instant at which a row of a window may be due. */
    long next(Content content) {
        return content.closed ? Instants.later(content.end, allowed) : content.end;
    }
}
