package eventide.flink;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * From packs of a source's records to events: log, offset, typed columns. Law: a record is an event or a refused one; offsets of a file are the
 * places of its records, and go on after a restart wherever the file is read then.
 */
final class Intake extends ProcessFunction<Pack, Event> implements CheckpointedFunction {
    static final OutputTag<Event> REFUSED = new OutputTag<>("refused", PlainType.EVENT);

    /** Where reading of a log stands: the next offset, and for files the header line. */
    private static final class Place {
        final String log;
        long next;
        byte[] header;
        int[] columns;

        Place(String log) {
            this.log = log;
        }
    }

    private final Plan.Source source;
    private final boolean apart;
    private final RecordReader reader;
    private final int arrival;
    private final Map<String, Place> places = new HashMap<>();
    private transient ListState<Tuple4<Integer, String, Long, byte[]>> saved;
    private transient DataInputDeserializer in;
    private transient int mine;

    /** With {@code apart} what is refused is a side output: SQL knows no such rows. */
    Intake(Plan.Source source, boolean apart) {
        this.source = source;
        this.apart = apart;
        this.reader = new RecordReader(source);
        this.arrival = source.columns().stream().map(Plan.Column::name).toList().indexOf(source.arrival());
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        in = new DataInputDeserializer();
        mine = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        saved = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>(
                "places", Types.TUPLE(Types.INT, Types.STRING, Types.LONG, Types.PRIMITIVE_ARRAY(Types.BYTE))));
        for (Tuple4<Integer, String, Long, byte[]> one : saved.get()) {
            Place place = places.computeIfAbsent(one.f1, Place::new);
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
    public void processElement(Pack pack, Context context, Collector<Event> out) throws Exception {
        Place place = places.get(pack.log);
        if (place == null) {
            place = new Place(pack.log);
            place.columns = source.fields().isEmpty() ? null : reader.places(source.fields());
            places.put(pack.log, place);
        }
        in.setBuffer(pack.bytes, 0, pack.length);
        for (int left = pack.records; left > 0; left--) {
            long offset = in.readLong();
            long arrived = in.readLong();
            int length = in.readInt();
            int from = in.getPosition();
            in.skipBytesToRead(length);
            if (offset != Pack.COUNTED || !isHeader(place, pack.bytes, from, length)) {
                take(place, offset == Pack.COUNTED ? place.next : offset, arrived, reader.read(pack.bytes, from, length, place.columns), context, out);
            }
        }
    }

    /** The first record of a file with a header line; what stands there is told once. */
    private boolean isHeader(Place place, byte[] bytes, int from, int length) throws IOException {
        if (!source.header() || place.columns != null) {
            return false;
        }
        place.header = Arrays.copyOfRange(bytes, from, from + length);
        place.columns = reader.header(place.header);
        return true;
    }

    private void take(Place place, long offset, long arrived, RecordReader.Read read, Context context, Collector<Event> out) {
        place.next = offset + 1;
        if (read.values() == null) {
            Event refused = Refused.of(place.log, offset, arrived, read.reason(), read.field(), read.raw());
            if (apart) {
                context.output(REFUSED, refused);
            } else {
                out.collect(refused);
            }
            return;
        }
        long at = arrived;
        if (arrival >= 0) {
            at = read.values()[arrival] instanceof Long given ? given : Instants.UNKNOWN;
        }
        out.collect(new Event(Event.ROW, place.log, offset, at, read.values()));
    }
}
