package eventide.flink;

import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.types.Row;

/** The type of a stream of our own values. */
final class PlainType<T> extends TypeInformation<T> {
    static final PlainType<Event> EVENT = new PlainType<>(Event.class, EventSerializer.INSTANCE);
    static final PlainType<Pack> PACK = new PlainType<>(Pack.class, Pack.Serializer.INSTANCE);
    /** What windows make, before it has the types of a table. */
    static final PlainType<Row> RESULT = new PlainType<>(Row.class, ResultSerializer.INSTANCE);
    static final PlainType<Key> KEY = new PlainType<>(Key.class, Key.Serializer.INSTANCE);

    private final Class<T> type;
    private final TypeSerializer<T> serializer;

    /** Events between the tasks of one plan. */
    static PlainType<Event> events(Plan plan) {
        return new PlainType<>(Event.class, new EventSerializer(plan.logs()));
    }

    static PlainType<Slice> slices(Plan plan) {
        return new PlainType<>(Slice.class, new SliceSerializer(plan.window().aggregates()));
    }

    private PlainType(Class<T> type, TypeSerializer<T> serializer) {
        this.type = type;
        this.serializer = serializer;
    }

    @Override
    public boolean isBasicType() {
        return false;
    }

    @Override
    public boolean isTupleType() {
        return false;
    }

    @Override
    public int getArity() {
        return 1;
    }

    @Override
    public int getTotalFields() {
        return 1;
    }

    @Override
    public Class<T> getTypeClass() {
        return type;
    }

    @Override
    public boolean isKeyType() {
        return type == Key.class;
    }

    @Override
    public TypeSerializer<T> createSerializer(SerializerConfig config) {
        return serializer.duplicate();
    }

    @Override
    public String toString() {
        return type.getSimpleName();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof PlainType<?> that && that.type == type;
    }

    @Override
    public int hashCode() {
        return type.hashCode();
    }

    @Override
    public boolean canEqual(Object other) {
        return other instanceof PlainType<?>;
    }
}
