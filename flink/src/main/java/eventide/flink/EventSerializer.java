package eventide.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Events on the wire. What stands behind the door only, and what is not known, takes no room in front of it. */
public final class EventSerializer extends PlainSerializer<Event> {
    static final EventSerializer INSTANCE = new EventSerializer();
    private static final int KIND = 7;
    private static final int ARRIVED = 8;
    private static final int TIMED = 16;
    private static final int CLOSING = 32;

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
        out.writeByte(event.kind | (arrived ? ARRIVED : 0) | (timed ? TIMED : 0) | (closing ? CLOSING : 0));
        Values.write(event.log, out);
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
        event.log = (String) Values.read(in);
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
