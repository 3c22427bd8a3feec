package eventide.flink;

import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.apache.flink.types.Row;

/** Results as a sink gets them: records of JSON, and their keys where it wants keys. No row of objects lies between windows and sink. */
final class Written extends RichMapFunction<Row, RowData> {
    private final Tables.Shape shape;
    private final List<String> columns;
    private final List<String> key;

    private transient JsonLine record;
    private transient JsonLine ofKey;

    Written(Plan plan, Plan.Lines lines) {
        this.shape = Results.results(plan);
        this.columns = lines.columns();
        this.key = lines.key();
    }

    /** {@code record}, and {@code key} where there is one. */
    TypeInformation<RowData> information() {
        LogicalType bytes = new VarBinaryType(VarBinaryType.MAX_LENGTH);
        List<RowType.RowField> fields = new java.util.ArrayList<>(List.of(new RowType.RowField("record", bytes)));
        if (!key.isEmpty()) {
            fields.add(new RowType.RowField("key", bytes));
        }
        return InternalTypeInfo.of(new RowType(fields));
    }

    @Override
    public void open(OpenContext context) throws Exception {
        record = new JsonLine(shape, columns);
        ofKey = key.isEmpty() ? null : new JsonLine(shape, key);
    }

    @Override
    public RowData map(Row row) throws Exception {
        return ofKey == null ? GenericRowData.of(record.of(row)) : GenericRowData.of(record.of(row), ofKey.of(row));
    }
}
