package eventide.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The rows of one key that may still find partners: those of the left side and those of the right one, by event time. */
final class Partners {
    /** A row that waits, and whether it has found a partner already. */
    static final class Waiting {
        final Event event;
        boolean matched;

        Waiting(Event event, boolean matched) {
            this.event = event;
            this.matched = matched;
        }
    }

    private final List<TreeMap<Long, List<Waiting>>> sides = List.of(new TreeMap<>(), new TreeMap<>());

    TreeMap<Long, List<Waiting>> of(int side) {
        return sides.get(side);
    }

    void add(int side, Waiting one) {
        of(side).computeIfAbsent(one.event.time, absent -> new ArrayList<>(1)).add(one);
    }

    boolean isEmpty() {
        return sides.get(0).isEmpty() && sides.get(1).isEmpty();
    }

    /** Rows that wait, in state. */
    public static final class Serializer extends PlainSerializer<Partners> {
        static final Serializer INSTANCE = new Serializer();

        @Override
        public Partners createInstance() {
            return new Partners();
        }

        @Override
        public void serialize(Partners partners, DataOutputView out) throws IOException {
            for (TreeMap<Long, List<Waiting>> side : partners.sides) {
                out.writeInt(side.values().stream().mapToInt(List::size).sum());
                for (List<Waiting> rows : side.values()) {
                    for (Waiting one : rows) {
                        out.writeBoolean(one.matched);
                        EventSerializer.INSTANCE.serialize(one.event, out);
                    }
                }
            }
        }

        @Override
        public Partners deserialize(DataInputView in) throws IOException {
            Partners partners = new Partners();
            for (int side = 0; side < partners.sides.size(); side++) {
                for (int size = in.readInt(); size > 0; size--) {
                    boolean matched = in.readBoolean();
                    partners.add(side, new Waiting(EventSerializer.INSTANCE.deserialize(in), matched));
                }
            }
            return partners;
        }

        @Override
        public TypeSerializerSnapshot<Partners> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    /** Says that any version of this serializer reads what another wrote. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Partners> {
        public Snapshot() {
            super(() -> Serializer.INSTANCE);
        }
    }
}
