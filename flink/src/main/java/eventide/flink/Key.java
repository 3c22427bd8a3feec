package eventide.flink;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The values of the key columns, for sessions with the log behind them. Null is a value like any other. */
final class Key {
    final Object[] values;
    private final int hash;

    Key(Object[] values) {
        this.values = values;
        for (int place = 0; place < values.length; place++) {
            if (values[place] instanceof Double number && number == 0) {
                values[place] = 0.0; // -0.0 and 0.0 are one key
            }
        }
        this.hash = Arrays.hashCode(values);
    }

    /** The first values of a row. */
    static Key of(Object[] values, int many) {
        return new Key(Arrays.copyOf(values, many));
    }

    /** True for a key that matches nothing in a join. */
    boolean hasNull() {
        for (Object value : values) {
            if (value == null) {
                return true;
            }
        }
        return false;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Key that && hash == that.hash && Arrays.equals(values, that.values);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    @Override
    public String toString() {
        return Arrays.toString(values);
    }

    /** Keys on the wire and in state. */
    public static final class Serializer extends PlainSerializer<Key> {
        static final Serializer INSTANCE = new Serializer();

        @Override
        public Key createInstance() {
            return new Key(new Object[0]);
        }

        @Override
        public boolean isImmutableType() {
            return true;
        }

        @Override
        public Key copy(Key from) {
            return from;
        }

        @Override
        public void serialize(Key key, DataOutputView out) throws IOException {
            Values.writeAll(key.values, out);
        }

        @Override
        public Key deserialize(DataInputView in) throws IOException {
            return new Key(Values.readAll(in));
        }

        @Override
        public TypeSerializerSnapshot<Key> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    /** Says that any version of this serializer reads what another wrote. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Key> {
        public Snapshot() {
            super(() -> Serializer.INSTANCE);
        }
    }
}
