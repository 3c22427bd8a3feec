package eventide.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.Row;

/**
 * Rows of windows as windows make them: instants as microseconds, lists as they were gathered. They are written where Flink does not chain
 * windows and sinks, or copies what goes from one to the other.
 */
public final class ResultSerializer extends PlainSerializer<Row> {
    static final ResultSerializer INSTANCE = new ResultSerializer();
    private static final byte PLAIN = 0;
    private static final byte LIST = 1;
    private static final byte ROWS = 2;

    private ResultSerializer() {}

    @Override
    public Row createInstance() {
        return new Row(0);
    }

    @Override
    public void serialize(Row row, DataOutputView out) throws IOException {
        out.writeShort(row.getArity());
        for (int place = 0; place < row.getArity(); place++) {
            write(row.getField(place), out);
        }
    }

    @Override
    public Row deserialize(DataInputView in) throws IOException {
        Row row = new Row(in.readShort());
        for (int place = 0; place < row.getArity(); place++) {
            row.setField(place, read(in));
        }
        return row;
    }

    private void write(Object value, DataOutputView out) throws IOException {
        if (value instanceof Row[] rows) {
            out.writeByte(ROWS);
            out.writeInt(rows.length);
            for (Row row : rows) {
                serialize(row, out);
            }
        } else if (value instanceof Object[] list) {
            out.writeByte(LIST);
            out.writeInt(list.length);
            for (Object one : list) {
                Values.write(one, out);
            }
        } else {
            out.writeByte(PLAIN);
            Values.write(value, out);
        }
    }

    private Object read(DataInputView in) throws IOException {
        byte kind = in.readByte();
        if (kind == PLAIN) {
            return Values.read(in);
        }
        Object[] list = kind == ROWS ? new Row[in.readInt()] : new Object[in.readInt()];
        for (int place = 0; place < list.length; place++) {
            list[place] = kind == ROWS ? deserialize(in) : Values.read(in);
        }
        return list;
    }

    @Override
    public TypeSerializerSnapshot<Row> snapshotConfiguration() {
        throw new UnsupportedOperationException("results travel and are never kept");
    }
}
