package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.JsonFormatOptions;
import org.apache.flink.formats.json.JsonRowDataSerializationSchema;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

/** Results as JSON, beside what Flink's own format writes of the same values. */
class JsonLineTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Tables.Shape SHAPE =
            new Tables.Shape().add("n", "integer").add("x", "float").add("s", "string").add("b", "boolean").add("t", "instant");

    private static byte[] byFlink(Row row) throws Exception {
        RowType type = (RowType) DataTypes.ROW(
                DataTypes.FIELD("n", DataTypes.BIGINT()), DataTypes.FIELD("x", DataTypes.DOUBLE()), DataTypes.FIELD("s", DataTypes.STRING()),
                DataTypes.FIELD("b", DataTypes.BOOLEAN()), DataTypes.FIELD("t", DataTypes.TIMESTAMP_LTZ(6))).getLogicalType();
        var schema = new JsonRowDataSerializationSchema(
                type, TimestampFormat.ISO_8601, JsonFormatOptions.MapNullKeyMode.LITERAL, "null", true, false);
        schema.open(null);
        String text = (String) row.getField(2);
        Long time = (Long) row.getField(4);
        return schema.serialize(GenericRowData.of(
                row.getField(0), row.getField(1), text == null ? null : StringData.fromString(text), row.getField(3),
                time == null ? null : TimestampData.fromInstant(Times.instant(time))));
    }

    @Test
    void linesAreThoseOfFlinksFormat() throws Exception {
        JsonLine line = new JsonLine(SHAPE, SHAPE.names());
        Random drawn = new Random(3);
        List<Object> doubles = java.util.Arrays.asList(0.0, -0.0, 1e300, 1e-7, 100.0, Double.NaN, Double.POSITIVE_INFINITY, null);
        List<String> texts = java.util.Arrays.asList("", "a\"b\\c/\n\u0001", "\u00e9\ud83d\ude00", null);
        List<Long> times = java.util.Arrays.asList(
                0L, -1L, 1_500_000L, 86_399_999_999L, 86_400_000_000L, Instants.EARLIEST, 253_402_300_799_999_999L, 253_402_300_800_000_000L,
                -62_167_219_200_000_001L, null);
        for (int number = 0; number < 500; number++) {
            Long time = number % 2 == 0 ? times.get(number / 2 % times.size()) : (Long) (drawn.nextLong(1L << 52) / (number % 3 == 0 ? 1 : 1_000) * 7);
            Object x = number % 2 == 0 ? doubles.get(number % doubles.size()) : (Object) Double.longBitsToDouble(drawn.nextLong());
            Row row = Row.of(number % 5 == 0 ? null : drawn.nextLong(), x, texts.get(number % texts.size()), number % 3 == 0 ? null : number % 2 == 0, time);
            String mine = new String(line.of(row), StandardCharsets.UTF_8);
            assertEquals(JSON.readTree(byFlink(row)), JSON.readTree(mine), mine);
        }
    }

    @Test
    void aLineHasTheColumnsThatAreAskedFor() throws Exception {
        JsonLine line = new JsonLine(SHAPE, List.of("t", "n"));
        assertEquals("{\"t\":\"1970-01-01T00:00:01.25Z\",\"n\":7}", new String(line.of(Row.of(7L, 1.0, "a", true, 1_250_000L)), StandardCharsets.UTF_8));
        assertEquals("{\"t\":\"1970-01-01T00:00:00Z\",\"n\":8}", new String(line.of(Row.of(8L, 1.0, "a", true, 0L)), StandardCharsets.UTF_8));
    }

    @Test
    void listsAndCountedValuesAreArrays() throws Exception {
        Tables.Shape shape = new Tables.Shape().add("all", "list of instant").add("top", "top of string");
        Row row = Row.of(new Object[] {0L, null}, new Object[] {Row.of("a", 2L)});
        assertEquals(
                "{\"all\":[\"1970-01-01T00:00:00Z\",null],\"top\":[{\"value\":\"a\",\"count\":2}]}",
                new String(new JsonLine(shape, shape.names()).of(row), StandardCharsets.UTF_8));
    }
}
