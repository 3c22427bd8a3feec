package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.junit.jupiter.api.Test;

/** Records in packs: in their order, and never kept back for long. */
class PackerTest {
    private static OneInputStreamOperatorTestHarness<RowData, Pack> begun() throws Exception {
        Plan.Source source = new Plan.Source("s", "", "", "intake", null, "json", null, false, List.of(), null, List.of(), null, null, List.of());
        var harness = new OneInputStreamOperatorTestHarness<RowData, Pack>(new Packer(source));
        harness.setup(Pack.Serializer.INSTANCE);
        harness.open();
        return harness;
    }

    private static RowData row(int partition, long offset, String record) {
        return GenericRowData.of(
                record.getBytes(StandardCharsets.UTF_8), StringData.fromString("t"), partition, offset, TimestampData.fromEpochMillis(offset));
    }

    /** What stands in the packs that came out: log, offset, arrival and record of each. */
    private static List<String> out(OneInputStreamOperatorTestHarness<RowData, Pack> harness) throws Exception {
        List<String> found = new ArrayList<>();
        for (Object one : harness.getOutput()) {
            if (one instanceof StreamRecord<?> record) {
                Pack pack = Pack.Serializer.INSTANCE.copy((Pack) record.getValue());
                var in = new DataInputDeserializer(pack.bytes, 0, pack.length);
                for (int left = pack.records; left > 0; left--) {
                    String place = pack.log + ":" + in.readLong() + "@" + in.readLong();
                    byte[] bytes = new byte[in.readInt()];
                    in.readFully(bytes);
                    found.add(place + " " + new String(bytes, StandardCharsets.UTF_8));
                }
            }
        }
        harness.getOutput().clear();
        return found;
    }

    @Test
    void recordsOfALogTravelTogetherInTheirOrder() throws Exception {
        try (var harness = begun()) {
            harness.processElement(new StreamRecord<>(row(0, 5, "a")));
            harness.processElement(new StreamRecord<>(row(1, 7, "")));
            harness.processElement(new StreamRecord<>(row(0, 6, "b")));
            assertEquals(List.of(), out(harness));
            harness.processWatermark(new Watermark(Long.MAX_VALUE));
            assertEquals(List.of("t/0:5@5000 a", "t/0:6@6000 b", "t/1:7@7000 "), out(harness).stream().sorted().toList());
        }
    }

    @Test
    void nothingWaitsForACheckpointOrForLong() throws Exception {
        try (var harness = begun()) {
            harness.processElement(new StreamRecord<>(row(0, 1, "a")));
            harness.prepareSnapshotPreBarrier(1);
            assertEquals(1, out(harness).size());
            harness.processElement(new StreamRecord<>(row(0, 2, "b")));
            harness.setProcessingTime(harness.getProcessingTime() + 100);
            assertEquals(List.of("t/0:2@2000 b"), out(harness));
            harness.processElement(new StreamRecord<>(row(0, 3, "c")));
            harness.setProcessingTime(harness.getProcessingTime() + 100);
            assertEquals(List.of("t/0:3@3000 c"), out(harness), "and once more");
            harness.processElement(new StreamRecord<>(row(0, 4, "d".repeat(20_000))));
            assertEquals(1, out(harness).size());
            harness.processElement(new StreamRecord<>(row(0, 5, "e")));
            harness.getOperator().finish();
            assertEquals(List.of("t/0:5@5000 e"), out(harness), "nor for the end");
        }
    }

    @Test
    void whatHasNoOffsetIsCountedLater() throws Exception {
        try (var harness = begun()) {
            RowData row = GenericRowData.of(new byte[] {'x'}, StringData.fromString("f"), null, null, TimestampData.fromEpochMillis(1));
            harness.processElement(new StreamRecord<>(row));
            harness.processWatermark(new Watermark(Long.MAX_VALUE));
            assertEquals(List.of("f:" + Pack.COUNTED + "@1000 x"), out(harness));
        }
    }
}
