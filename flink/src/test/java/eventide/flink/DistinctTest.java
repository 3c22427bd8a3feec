package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

/** Distinct counts: exact up to k, then estimated; however they were merged or written between. */
class DistinctTest {
    private static final int K = 16;

    private static Distinct of(long from, long to) {
        Distinct made = new Distinct(K);
        for (long number = from; number < to; number++) {
            made.add(number, null);
        }
        return made;
    }

    @Test
    void itIsExactUpToKHoweverOftenAValueComes() {
        for (long from = 0; from < 20; from++) {
            Distinct sixteen = of(from, from + K);
            sixteen.merge(of(from, from + K));
            assertEquals(K, sixteen.number());
        }
    }

    @Test
    void beyondKItIsWhatThetaSaysInWhateverOrderPartsAreMerged() {
        long[] hashes = java.util.stream.LongStream.range(0, 1_000).map(number -> Murmur.of(number)).sorted().toArray();
        long expected = (long) Math.rint(K * Math.pow(2, 63) / hashes[K]);
        assertEquals(expected, of(0, 1_000).number());
        Distinct merged = of(700, 1_000);
        merged.merge(of(0, 750));
        assertEquals(expected, merged.number());
    }

    @Test
    void aStateThatWasReadGoesOn() throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(32);
        of(0, 10).write(out);
        Distinct read = new Distinct(K);
        read.read(new DataInputDeserializer(out.getCopyOfBuffer()));
        assertEquals(10, read.number());
        read.merge(of(5, 12));
        assertEquals(12, read.number());
    }

    /** What a savepoint says of a term makes the same term again, and another k is another state. */
    @Test
    void aSavepointKnowsItsK() throws Exception {
        Aggregate counted = new Aggregate("n", "count_distinct", 0, "integer", Map.of("exact_up_to", (long) K));
        DataOutputSerializer out = new DataOutputSerializer(32);
        new KeyState.Snapshot(List.of(counted)).writeSnapshot(out);
        KeyState.Snapshot read = new KeyState.Snapshot();
        read.readSnapshot(read.getCurrentVersion(), new DataInputDeserializer(out.getCopyOfBuffer()), getClass().getClassLoader());
        assertEquals(new KeyState.Serializer(List.of(counted)), read.restoreSerializer());
        Aggregate other = new Aggregate("n", "count_distinct", 0, "integer", Map.of("exact_up_to", 17L));
        assertEquals(true, new KeyState.Snapshot(List.of(other)).resolveSchemaCompatibility(read).isIncompatible());
        assertEquals(true, new KeyState.Snapshot(List.of(counted)).resolveSchemaCompatibility(read).isCompatibleAsIs());
    }
}
