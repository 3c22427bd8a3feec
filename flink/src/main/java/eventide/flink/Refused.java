package eventide.flink;

/** Rows that are refused, as dead letters: the reason, the field it concerns, and the record's text. */
final class Refused {
    static final int REASON = 0;
    static final int FIELD = 1;
    static final int RAW = 2;

    private Refused() {}

    static Event of(String log, long offset, long arrival, String reason, String field, String raw) {
        return new Event(Event.REFUSED, log, offset, arrival, new Object[] {reason, field, raw});
    }

    /** A row that a guard refuses, its columns written as JSON. */
    static Event of(Event event, String reason, Plan plan) {
        return of(event.log, event.offset, event.arrival, reason, plan.eventTime().column(), Json.row(plan, event.values));
    }
}
