package eventide.flink;

import java.util.Arrays;

/** What travels to and from the door: a row of a log with its place and times, or a word about a log. */
final class Event {
    static final byte ROW = 0;
    /** The source of a log asserts a watermark ({@code time}). */
    static final byte HEARTBEAT = 1;
    /** A log has been silent. */
    static final byte IDLE = 2;
    /** A log has ended. */
    static final byte FINISHED = 3;
    /** A record that could not be read: {@code values} are its text, the reason and the field. */
    static final byte REFUSED = 4;

    byte kind;
    String log;
    long offset;
    long arrival = Instants.UNKNOWN;
    /** Behind the door: event time, and the watermark that judges the row. */
    long time;
    long before;
    /** Where keys have clocks: the watermark that closes windows of the key, in front of the row and behind it. */
    long closed = Instants.NO_WATERMARK;
    long closing = Instants.NO_WATERMARK;
    Object[] values;

    Event() {}

    Event(byte kind, String log, long offset, long arrival, Object[] values) {
        this.kind = kind;
        this.log = log;
        this.offset = offset;
        this.arrival = arrival;
        this.values = values;
    }

    Event with(Object[] other) {
        Event event = new Event(kind, log, offset, arrival, other);
        event.time = time;
        event.before = before;
        event.closed = closed;
        event.closing = closing;
        return event;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Event that && kind == that.kind && offset == that.offset && log.equals(that.log)
                && time == that.time && before == that.before && Arrays.equals(values, that.values);
    }

    @Override
    public int hashCode() {
        return log.hashCode() * 31 + Long.hashCode(offset);
    }
}
