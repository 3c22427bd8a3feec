package eventide.flink;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Events on the wire and in state. What stands behind the door only, and what is not known, takes no room in front of it. A serializer that
 * knows the names of logs writes their numbers.
 */
public final class EventSerializer extends PlainSerializer<Event> {
    /** For state: it knows no names, so that other plans read it. */
    static final EventSerializer INSTANCE = new EventSerializer(List.of());
    private static final int KIND = 7;
    private static final int ARRIVED = 8;
    private static final int TIMED = 16;
    private static final int CLOSING = 32;
    private static final int NUMBERED = 64;

    private final String[] logs;
    private transient String last;
    private transient int number;

    EventSerializer(List<String> logs) {
        this.logs = logs.toArray(String[]::new);
    }

    @Override
    public TypeSerializer<Event> duplicate() {
        return new EventSerializer(List.of(logs));
    }

    /** The number of a log; -1 where it has none. */
    private int numberOf(String log) {
        if (logs.length > 0 && !log.equals(last)) {
            number = Arrays.asList(logs).indexOf(log);
            last = log;
        }
        return logs.length > 0 ? number : -1;
    }

    @Override
    public Event createInstance() {
        return new Event();
    }

    @Override
    public Event copy(Event from) {
        return from; // no operator changes an event that it was given
    }

    @Override
    public void serialize(Event event, DataOutputView out) throws IOException {
        boolean arrived = event.arrival != Instants.UNKNOWN;
        boolean timed = event.time != 0 || event.before != 0;
        boolean closing = event.closed != Instants.NO_WATERMARK || event.closing != Instants.NO_WATERMARK;
        int place = numberOf(event.log);
        int marks = event.kind | (arrived ? ARRIVED : 0) | (timed ? TIMED : 0) | (closing ? CLOSING : 0);
        out.writeByte(marks | (place >= 0 ? NUMBERED : 0));
        if (place >= 0) {
            out.writeInt(place);
        } else {
            Values.write(event.log, out);
        }
        out.writeLong(event.offset);
        if (arrived) {
            out.writeLong(event.arrival);
        }
        if (timed) {
            out.writeLong(event.time);
            out.writeLong(event.before);
        }
        if (closing) {
            out.writeLong(event.closed);
            out.writeLong(event.closing);
        }
        Values.writeAll(event.values, out);
    }

    @Override
    public Event deserialize(DataInputView in) throws IOException {
        Event event = new Event();
        int marks = in.readByte();
        event.kind = (byte) (marks & KIND);
        event.log = (marks & NUMBERED) != 0 ? logs[in.readInt()] : (String) Values.read(in);
        event.offset = in.readLong();
        if ((marks & ARRIVED) != 0) {
            event.arrival = in.readLong();
        }
        if ((marks & TIMED) != 0) {
            event.time = in.readLong();
            event.before = in.readLong();
        }
        if ((marks & CLOSING) != 0) {
            event.closed = in.readLong();
            event.closing = in.readLong();
        }
        event.values = Values.readAll(in);
        return event;
    }

    @Override
    public TypeSerializerSnapshot<Event> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Says that any version of this serializer reads what another wrote. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Event> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
