package eventide.flink;

import java.io.Serializable;

/**
 * Windows of a grid as runs of slices, each one slide long. Law: an event counts for the windows of its slice from the first one on that
 * the watermark before it had not closed; where windows come out once, at their end, nothing else of the event matters.
 */
record Slicing(long size, long slide, long offset) implements Serializable {
    /** How a plan's windows are sliced; null where they are not: a row of theirs may come out before their end or after it. */
    static Slicing of(Plan plan) {
        Plan.Window window = plan.window();
        boolean whole = window.kind().equals("sliding") && window.sizeUs() % window.slideUs() == 0;
        boolean once = window.lateUs() == 0 && window.early() == null && !window.fill() && !plan.closesByKey();
        return whole && once ? new Slicing(window.sizeUs(), window.slideUs(), window.offsetUs()) : null;
    }

    /** Where the slice of an event begins; the last window that has it begins there too. */
    long start(long time) {
        return Math.floorDiv(time - offset, slide) * slide + offset;
    }

    /** Where the first window of a slice begins that a watermark leaves open. */
    long from(long start, long watermark) {
        return Math.max(start - size + slide, start(watermark - size) + slide);
    }

    long end(long from) {
        return from + size;
    }
}
