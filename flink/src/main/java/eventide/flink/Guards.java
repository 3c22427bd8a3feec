package eventide.flink;

import java.io.Serializable;

/** What is refused in front of every clock, with the reason. Law: one bad clock must never make everybody else late. */
record Guards(long maxFutureUs, long maxAgeUs, long reachUs) implements Serializable {
    /** 9999-01-01: calendars end with years of four digits. */
    private static final long LAST_CALENDAR_YEAR_US = 253_370_764_800_000_000L;

    static Guards of(Plan plan) {
        Plan.Window window = plan.window();
        long reach = plan.side() != null ? plan.side().reachUs() : window == null ? 0 : switch (window.kind()) {
            case "session" -> window.gapUs();
            case "count" -> (window.timeoutUs() == Instants.UNKNOWN ? 0 : window.timeoutUs()) + 1;
            case "sliding" -> window.sizeUs();
            case "calendar" -> Instants.END_OF_TIME - LAST_CALENDAR_YEAR_US;
            default -> 1;
        };
        return new Guards(plan.eventTime().maxFutureUs(), plan.eventTime().maxAgeUs(), reach);
    }

    /** Why a row is refused; null when it may pass. */
    String refusal(Object time, long arrival) {
        if (!(time instanceof Long at)) {
            return "event time is missing";
        }
        if (at < Instants.EARLIEST || at > Instants.END_OF_TIME - reachUs) {
            return "event time is out of range";
        }
        if (arrival == Instants.UNKNOWN) {
            return null;
        }
        if (maxFutureUs != Instants.UNKNOWN && at > arrival + maxFutureUs) {
            return "event time is too far in the future";
        }
        return maxAgeUs != Instants.UNKNOWN && at < arrival - maxAgeUs ? "event time is too old" : null;
    }
}
