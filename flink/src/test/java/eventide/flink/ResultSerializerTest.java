package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

/** Results between windows and sinks that Flink does not chain. */
class ResultSerializerTest {
    @Test
    void aRowComesBackWithItsListsInTheKindThatTablesTake() {
        Row[] top = {Row.of("a", 3L), Row.of(null, 1L)};
        Row copied = ResultSerializer.INSTANCE.copy(Row.of("key", 1_600_000_000_000_001L, 0.5, true, null, new Object[] {"x", null}, top));
        assertEquals(7, copied.getArity());
        Object[] scalars = {copied.getField(0), copied.getField(1), copied.getField(2), copied.getField(3), copied.getField(4)};
        assertArrayEquals(new Object[] {"key", 1_600_000_000_000_001L, 0.5, true, null}, scalars);
        assertArrayEquals(new Object[] {"x", null}, (Object[]) copied.getField(5));
        assertArrayEquals(top, (Row[]) copied.getField(6));
    }
}
