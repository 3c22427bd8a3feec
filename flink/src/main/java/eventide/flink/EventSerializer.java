package eventide.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** Events on the wire. */
public final class EventSerializer extends PlainSerializer<Event> {
    static final EventSerializer INSTANCE = new EventSerializer();

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
        out.writeByte(event.kind);
        StringValue.writeString(event.log, out);
        out.writeLong(event.offset);
        out.writeLong(event.arrival);
        out.writeLong(event.time);
        out.writeLong(event.before);
        out.writeLong(event.closed);
        out.writeLong(event.closing);
        Values.writeAll(event.values, out);
    }

    @Override
    public Event deserialize(DataInputView in) throws IOException {
        Event event = new Event();
        event.kind = in.readByte();
        event.log = StringValue.readString(in);
        event.offset = in.readLong();
        event.arrival = in.readLong();
        event.time = in.readLong();
        event.before = in.readLong();
        event.closed = in.readLong();
        event.closing = in.readLong();
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
