package eventide.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSchemaCompatibility;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** Everything that is kept of one key: its windows by end, or the slices they are made of, or the events that wait for a count window. */
final class KeyState {
    /** Slices in state belong to the key whose state it is. */
    private static final Key NOBODY = new Key(new Object[0]);

    /** The watermark that the key's own clock has reached, where keys have clocks. */
    long closing = Instants.NO_WATERMARK;
    /** The watermark at which early rows were last looked for. */
    long ticked = Instants.NO_WATERMARK;
    /** Where empty windows show too: the start of the next one that has to. */
    long next = Instants.NO_WATERMARK;
    /** The number of the next count window. */
    long number;
    final List<Content> windows = new ArrayList<>(2);
    final List<Slice> slices = new ArrayList<>(0);
    final List<Event> waiting = new ArrayList<>(0);

    boolean isEmpty() {
        return windows.isEmpty() && waiting.isEmpty() && number == 0 && closing == Instants.NO_WATERMARK && next == Instants.NO_WATERMARK;
    }

    /** States as bytes. The plan's aggregates say which terms a window has, so their names stand in the snapshot. */
    public static final class Serializer extends PlainSerializer<KeyState> {
        private final ArrayList<Aggregate> aggregates;

        Serializer(List<Aggregate> aggregates) {
            this.aggregates = new ArrayList<>(aggregates);
        }

        @Override
        public KeyState createInstance() {
            return new KeyState();
        }

        @Override
        public void serialize(KeyState state, DataOutputView out) throws IOException {
            out.writeLong(state.closing);
            out.writeLong(state.ticked);
            out.writeLong(state.next);
            out.writeLong(state.number);
            out.writeInt(state.windows.size());
            for (Content content : state.windows) {
                content.write(out);
            }
            out.writeInt(state.slices.size());
            for (Slice slice : state.slices) {
                slice.write(out);
            }
            out.writeInt(state.waiting.size());
            for (Event event : state.waiting) {
                EventSerializer.INSTANCE.serialize(event, out);
            }
        }

        @Override
        public KeyState deserialize(DataInputView in) throws IOException {
            KeyState state = new KeyState();
            state.closing = in.readLong();
            state.ticked = in.readLong();
            state.next = in.readLong();
            state.number = in.readLong();
            for (int size = in.readInt(); size > 0; size--) {
                state.windows.add(Content.read(in, aggregates));
            }
            for (int size = in.readInt(); size > 0; size--) {
                state.slices.add(Slice.read(NOBODY, in, aggregates));
            }
            for (int size = in.readInt(); size > 0; size--) {
                state.waiting.add(EventSerializer.INSTANCE.deserialize(in));
            }
            return state;
        }

        @Override
        public TypeSerializerSnapshot<KeyState> snapshotConfiguration() {
            return new Snapshot(aggregates);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Serializer that && kinds(aggregates).equals(kinds(that.aggregates));
        }

        @Override
        public int hashCode() {
            return kinds(aggregates).hashCode();
        }
    }

    /** A state belongs to the aggregates it was made for: another plan cannot read it. */
    public static final class Snapshot implements TypeSerializerSnapshot<KeyState> {
        /** The form of what is written; states in another form are refused. */
        private static final int VERSION = 2;

        private List<String> kinds = List.of();
        private int written = VERSION;
        private List<Aggregate> aggregates = List.of();

        public Snapshot() {}

        Snapshot(List<Aggregate> aggregates) {
            this.aggregates = aggregates;
            this.kinds = kinds(aggregates);
        }

        @Override
        public int getCurrentVersion() {
            return VERSION;
        }

        @Override
        public void writeSnapshot(DataOutputView out) throws IOException {
            out.writeInt(aggregates.size());
            for (Aggregate one : aggregates) {
                StringValue.writeString(one.function(), out);
                StringValue.writeString(one.type(), out);
                out.writeLong(limit(one));
            }
        }

        @Override
        public void readSnapshot(int version, DataInputView in, ClassLoader loader) throws IOException {
            List<Aggregate> read = new ArrayList<>();
            for (int size = in.readInt(); size > 0; size--) {
                String function = StringValue.readString(in);
                String type = StringValue.readString(in);
                long limit = in.readLong();
                java.util.Map<String, Object> arguments = limit < 0 ? java.util.Map.of() : java.util.Map.of(limited(function), limit);
                read.add(new Aggregate("", function, -1, type, arguments));
            }
            aggregates = read;
            written = version;
            kinds = kinds(read);
        }

        @Override
        public TypeSerializer<KeyState> restoreSerializer() {
            return new Serializer(aggregates);
        }

        @Override
        public TypeSerializerSchemaCompatibility<KeyState> resolveSchemaCompatibility(TypeSerializerSnapshot<KeyState> old) {
            return old instanceof Snapshot that && that.kinds.equals(kinds) && that.written == VERSION
                    ? TypeSerializerSchemaCompatibility.compatibleAsIs()
                    : TypeSerializerSchemaCompatibility.incompatible();
        }
    }

    private static List<String> kinds(List<Aggregate> aggregates) {
        return aggregates.stream().map(one -> one.function() + " " + one.type() + " " + limit(one)).toList();
    }

    /** How much a term keeps at the most; -1 where nothing is said. */
    private static long limit(Aggregate one) {
        return one.arguments().get(limited(one.function())) instanceof Number limit ? limit.longValue() : -1;
    }

    /** The argument that says so. */
    private static String limited(String function) {
        return function.equals("count_distinct") ? "exact_up_to" : "limit";
    }
}
