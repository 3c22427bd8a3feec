package eventide.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/** Records of one log on their way to its door, as they stand, each behind its offset, its arrival and its length. */
final class Pack {
    /** Stands for the offset of a record that is counted where it is read. */
    static final long COUNTED = -1;

    String log;
    int records;
    byte[] bytes;
    int length;

    Pack() {}

    Pack(String log, int records, DataOutputSerializer filled) {
        this.log = log;
        this.records = records;
        this.bytes = filled.getSharedBuffer();
        this.length = filled.length();
    }

    /** Packs on the wire; no state has any. */
    public static final class Serializer extends PlainSerializer<Pack> {
        static final Serializer INSTANCE = new Serializer();

        @Override
        public Pack createInstance() {
            return new Pack();
        }

        @Override
        public void serialize(Pack pack, DataOutputView out) throws IOException {
            Values.write(pack.log, out);
            out.writeInt(pack.records);
            out.writeInt(pack.length);
            out.write(pack.bytes, 0, pack.length);
        }

        @Override
        public Pack deserialize(DataInputView in) throws IOException {
            Pack pack = new Pack();
            pack.log = (String) Values.read(in);
            pack.records = in.readInt();
            pack.length = in.readInt();
            pack.bytes = new byte[pack.length];
            in.readFully(pack.bytes);
            return pack;
        }

        @Override
        public TypeSerializerSnapshot<Pack> snapshotConfiguration() {
            throw new UnsupportedOperationException("packs travel and are never kept");
        }
    }
}
