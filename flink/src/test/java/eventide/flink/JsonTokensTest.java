package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is read token by token is what the tree gives, and nothing else is read that way. */
class JsonTokensTest {
    private static final List<String> TYPES = List.of("string", "integer", "float", "boolean", "instant");
    private static final List<String> VALUES = List.of(
            "1", "-0", "0", "1.5", "-0.0", "1e3", "1.0", "1e999", "12345678901234567890", "-9223372036854775808", "9223372036854775807",
            "4611686018427387903", "4611686018427388", "-4611686018427388", "null", "true", "false", "\"\"", "\"x\"", "\"1\"", "\" 2 \"", "\"nan\"", "\"1970-01-02\"", "\"a\\u00e9\\n\"",
            "[1]", "{\"v\": 1}", "01", "nan", "1 2", "1}", "\"", "1, \"v\": 2", "\"x\", \"v\": 3", "3, \"v\": \"x\"", "00.5", "1.", ".5", "-", "--1", "1.5.2", "123456789012345678", "1234567890123456789", "9999999999999999999", "9999999999.999999999", "0.123456789012345678", "9007199254740993.0", "tru", "nulll", "\"caf\u00e9\"", "5 ,\t\"v\" :\r\n 6", "1, \"w\": [1, {\"v\": 2}]",
            "1, \"w\": " + "9".repeat(1001), "1, \"w\": [" + "9".repeat(1001) + "]");

    private static Plan.Source source(List<Plan.Column> columns) {
        return new Plan.Source("s", "", "", "intake", null, "json", null, false, columns, null, List.of(), null, null, List.of());
    }

    @Test
    void everyRecordIsReadAsTheTreeReadsIt() {
        for (String type : TYPES) {
            for (String unit : List.of("s", "ms", "us", "ns")) {
                for (boolean nullable : List.of(true, false)) {
                    Plan.Column column = new Plan.Column("v", type, null, unit, nullable, null, null);
                    for (String value : VALUES) {
                        same(column, "{\"a\": 0, \"v\": " + value + "}");
                        same(column, "{\"v\": " + value + ", \"b\": {}} ");
                    }
                    same(column, "{}");
                    same(column, "{} {}");
                    same(column, "");
                }
            }
        }
    }

    private static void same(Plan.Column column, String record) {
        RecordReader reader = new RecordReader(source(List.of(column)));
        byte[] bytes = record.getBytes(StandardCharsets.UTF_8);
        Object[] quick = new JsonTokens(List.of(Typing.of(column))).read(bytes);
        RecordReader.Read tree = reader.byTree(record);
        if (quick != null) {
            assertArrayEquals(tree.values(), quick, column + " " + record + " " + tree.reason());
        }
        Object[] flat = new FlatJson(List.of(Typing.of(column))).read(bytes, 0, bytes.length);
        if (flat != null) {
            assertArrayEquals(tree.values(), flat, column + " " + record + " " + tree.reason());
        }
    }

    @Test
    void goodRecordsAreReadWithoutTheTree() {
        Plan.Column at = new Plan.Column("at", "instant", "/time", "ms", true, null, null);
        Plan.Column x = new Plan.Column("x", "float", null, "ms", false, "0", "9");
        JsonTokens tokens = new JsonTokens(List.of(Typing.of(at), Typing.of(x)));
        assertArrayEquals(new Object[] {5_000L, 2.5}, tokens.read(ascii("{\"x\": 2.5, \"y\": [], \"time\": 5}")));
        assertArrayEquals(new Object[] {null, 3.0}, tokens.read(ascii("{\"x\": 3}")));
        assertNull(tokens.read(ascii("{\"x\": 10, \"time\": 5}")), "beyond its maximum");
        assertNotNull(new JsonTokens(List.of(Typing.of(x))).read(ascii("{\"x\": \"1\"}")));
    }

    @Test
    void plainRecordsAreReadFromTheirBytes() {
        Plan.Column name = new Plan.Column("name", "string", null, "ms", true, null, null);
        Plan.Column at = new Plan.Column("at", "instant", "/time", "ms", true, null, null);
        Plan.Column x = new Plan.Column("x", "float", null, "ms", false, "-1", "9");
        FlatJson flat = new FlatJson(List.of(Typing.of(name), Typing.of(at), Typing.of(x)));
        byte[] bytes = ascii("??{\"name\": \"a\", \"time\": 5, \"x\": -0.25, \"y\": true, \"z\": \"b\"} ??");
        assertArrayEquals(new Object[] {"a", 5_000L, -0.25}, flat.read(bytes, 2, bytes.length - 2));
        assertNull(flat.read(bytes, 0, bytes.length), "something stands in front");
        assertArrayEquals(new Object[] {null, null, 3.0}, read(flat, "{\"x\":3}"));
        assertNull(read(flat, "{\"x\": 10}"), "beyond its maximum");
        assertNull(read(flat, "{\"time\": 5}"), "x is missing");
        assertNull(read(flat, "{\"x\": 1, \"y\": []}"), "deeper values are left to others");
    }

    private static Object[] read(FlatJson flat, String record) {
        return flat.read(ascii(record), 0, record.length());
    }

    @Test
    void doublesFromBytesAreThoseOfJava() {
        FlatJson flat = new FlatJson(List.of(Typing.of(new Plan.Column("x", "float", null, "ms", true, null, null))));
        java.util.Random drawn = new java.util.Random(8);
        int many = 0;
        for (int number = 0; number < 20_000; number++) {
            String text = (number % 3 == 0 ? "-" : "") + drawn.nextInt(100_000) + "." + Long.toString(drawn.nextLong(1L << drawn.nextInt(1, 50)));
            Object[] values = read(flat, "{\"x\": " + text + "}");
            if (values != null) {
                assertArrayEquals(new Object[] {Double.parseDouble(text)}, values, text);
                many++;
            }
        }
        assertTrue(many > 10_000, "most are read: " + many);
    }

    @Test
    void doublesAreThoseOfJava() {
        JsonTokens tokens = new JsonTokens(List.of(Typing.of(new Plan.Column("x", "float", null, "ms", true, null, null))));
        java.util.Random drawn = new java.util.Random(7);
        for (int number = 0; number < 20_000; number++) {
            double bits = Double.longBitsToDouble(drawn.nextLong());
            String text = Double.isFinite(bits) && number % 2 == 0 ? Double.toString(bits) : drawn.nextInt(1_000) + "." + drawn.nextLong(1L << 60);
            assertArrayEquals(new Object[] {Double.parseDouble(text)}, tokens.read(ascii("{\"x\": " + text + "}")), text);
        }
    }

    @Test
    void deeperColumnsAreLeftToTheTree() {
        Plan.Column deep = new Plan.Column("x", "float", "/a/x", "ms", true, null, null);
        assertNull(new JsonTokens(List.of(Typing.of(deep))).read(ascii("{\"a\": {\"x\": 1}}")));
        Plan.Column slashed = new Plan.Column("x", "float", "/a~1x", "ms", true, null, null);
        assertNull(new JsonTokens(List.of(Typing.of(slashed))).read(ascii("{\"a~1x\": 1}")), "the member is a/x");
        assertNull(new FlatJson(List.of(Typing.of(slashed))).read(ascii("{\"a~1x\": 1}"), 0, 11), "the member is a/x");
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
