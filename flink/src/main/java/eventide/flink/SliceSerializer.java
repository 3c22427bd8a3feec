package eventide.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Slices on the wire: in state they are part of their key's. */
public final class SliceSerializer extends PlainSerializer<Slice> {
    private final ArrayList<Aggregate> aggregates;

    SliceSerializer(List<Aggregate> aggregates) {
        this.aggregates = new ArrayList<>(aggregates);
    }

    @Override
    public Slice createInstance() {
        return new Slice(new Key(new Object[0]), 0, 0, Content.terms(aggregates));
    }

    @Override
    public void serialize(Slice slice, DataOutputView out) throws IOException {
        Key.Serializer.INSTANCE.serialize(slice.key, out);
        slice.write(out);
    }

    @Override
    public Slice deserialize(DataInputView in) throws IOException {
        return Slice.read(Key.Serializer.INSTANCE.deserialize(in), in, aggregates);
    }

    @Override
    public TypeSerializerSnapshot<Slice> snapshotConfiguration() {
        throw new UnsupportedOperationException("slices travel and are kept by key, never alone");
    }
}
