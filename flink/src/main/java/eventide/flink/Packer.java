package eventide.flink;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.RowData;

/**
 * Behind a source: records of a log travel to its door together. Law: nothing waits here longer than some milliseconds, nor when a checkpoint
 * is made or the input ends, so it keeps no state; records of a log stay in their order.
 */
final class Packer extends AbstractStreamOperator<Pack> implements OneInputStreamOperator<RowData, Pack> {
    /** A pack with so many bytes goes. */
    private static final int FULL = 16 * 1024;
    /** So long a pack waits for more. */
    private static final long WAIT_MS = 5;

    /** The pack of a log that is being filled. */
    private static final class Open {
        final String log;
        final DataOutputSerializer bytes = new DataOutputSerializer(4096);
        int records;
        long arrived;

        Open(String log) {
            this.log = log;
        }
    }

    private final LogNames names;

    private transient Map<String, Open> open;
    private transient Open last;
    private transient boolean timed;

    Packer(Plan.Source source) {
        this.names = new LogNames(source);
    }

    @Override
    public void open() throws Exception {
        super.open();
        open = new HashMap<>();
    }

    @Override
    public void processElement(StreamRecord<RowData> given) throws Exception {
        RowData row = given.getValue();
        Open pack = of(names.of(row.getString(1), row.isNullAt(2) ? LogNames.WHOLE : row.getInt(2)));
        DataOutputSerializer bytes = pack.bytes;
        bytes.writeLong(row.isNullAt(3) ? Pack.COUNTED : row.getLong(3));
        bytes.writeLong(row.isNullAt(4) ? arrived(pack) : row.getTimestamp(4, 3).getMillisecond() * 1_000);
        byte[] record = row.isNullAt(0) ? new byte[0] : row.getBinary(0);
        bytes.writeInt(record.length);
        bytes.write(record);
        pack.records++;
        if (bytes.length() >= FULL) {
            send(pack);
        } else if (!timed) {
            wake();
        }
    }

    private Open of(String log) {
        if (last == null || !last.log.equals(log)) {
            last = open.computeIfAbsent(log, Open::new);
        }
        return last;
    }

    /** Records that travel together have arrived together. */
    private static long arrived(Open pack) {
        if (pack.records == 0) {
            Instant now = Instant.now();
            pack.arrived = now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000;
        }
        return pack.arrived;
    }

    private void wake() {
        timed = true;
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now + WAIT_MS, at -> {
            timed = false;
            flush();
        });
    }

    private void send(Open pack) {
        if (pack.records > 0) {
            output.collect(new StreamRecord<>(new Pack(pack.log, pack.records, pack.bytes)));
            pack.records = 0;
            pack.bytes.clear();
        }
    }

    /** What is open goes; logs that have ended are forgotten. */
    private void flush() {
        open.values().forEach(this::send);
        open.values().removeIf(pack -> pack != last);
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        flush();
        super.processWatermark(mark);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        flush();
    }

    @Override
    public void finish() {
        flush();
    }
}
