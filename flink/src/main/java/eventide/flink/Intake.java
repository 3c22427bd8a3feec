package eventide.flink;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * From a source's records to events: log, offset, typed columns. Law: a record is an event or a refused one; offsets of a file are the
 * places of its records, and go on after a restart wherever the file is read then.
 */
final class Intake extends ProcessFunction<RowData, Event> implements CheckpointedFunction {
    static final OutputTag<Event> REFUSED = new OutputTag<>("refused", PlainType.EVENT);

    /** Where reading of a log stands: the next offset, and for files the header line. */
    private static final class Place {
        long next;
        byte[] header;
        int[] columns;
    }

    private final Plan.Source source;
    private final boolean apart;
    private final RecordReader reader;
    private final int arrival;
    private final Map<String, Place> places = new HashMap<>();
    private final LogNames names;
    private transient ListState<Tuple4<Integer, String, Long, byte[]>> saved;
    private transient int mine;

    /** With {@code apart} what is refused is a side output: SQL knows no such rows. */
    Intake(Plan.Source source, boolean apart) {
        this.source = source;
        this.apart = apart;
        this.names = new LogNames(source);
        this.reader = new RecordReader(source);
        this.arrival = source.columns().stream().map(Plan.Column::name).toList().indexOf(source.arrival());
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        mine = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        saved = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>(
                "places", Types.TUPLE(Types.INT, Types.STRING, Types.LONG, Types.PRIMITIVE_ARRAY(Types.BYTE))));
        for (Tuple4<Integer, String, Long, byte[]> one : saved.get()) {
            Place place = places.computeIfAbsent(one.f1, absent -> new Place());
            if (one.f2 >= place.next) { // nobody reads a log twice: who is further has read it last
                place.next = one.f2;
                place.header = one.f3.length == 0 ? null : one.f3;
                place.columns = place.header == null ? null : reader.header(place.header);
            }
        }
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        saved.clear();
        for (Map.Entry<String, Place> one : places.entrySet()) {
            Place place = one.getValue();
            saved.add(Tuple4.of(mine, one.getKey(), place.next, place.header == null ? new byte[0] : place.header));
        }
    }

    @Override
    public void processElement(RowData row, Context context, Collector<Event> out) throws Exception {
        byte[] record = row.isNullAt(0) ? new byte[0] : row.getBinary(0);
        String log = names.of(row.getString(1), row.isNullAt(2) ? LogNames.WHOLE : row.getInt(2));
        boolean counted = row.isNullAt(3);
        Place place = places.get(log);
        if (place == null) {
            place = new Place();
            place.columns = source.fields().isEmpty() ? null : reader.places(source.fields());
            places.put(log, place);
        }
        if (counted && source.header() && place.columns == null) {
            place.header = record;
            place.columns = reader.header(record);
            return;
        }
        long offset = counted ? place.next : row.getLong(3);
        place.next = offset + 1;
        long arrived = row.isNullAt(4) ? now() : row.getTimestamp(4, 3).getMillisecond() * 1_000;
        RecordReader.Read read = reader.read(record, place.columns);
        if (read.values() == null) {
            Event refused = Refused.of(log, offset, arrived, read.reason(), read.field(), read.raw());
            if (apart) {
                context.output(REFUSED, refused);
            } else {
                out.collect(refused);
            }
            return;
        }
        if (arrival >= 0) {
            arrived = read.values()[arrival] instanceof Long at ? at : Instants.UNKNOWN;
        }
        out.collect(new Event(Event.ROW, log, offset, arrived, read.values()));
    }

    private static long now() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000;
    }
}
