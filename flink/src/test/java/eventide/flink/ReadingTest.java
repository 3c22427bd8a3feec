package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Records, instants and sums, against values that can be looked up. */
class ReadingTest {
    @Test
    void instantsAreReadToTheMicrosecond() {
        assertEquals(0, Times.micros("1970-01-01"));
        assertEquals(1_500_000, Times.micros("1970-01-01T00:00:01.5Z"));
        assertEquals(-7_199_999_999L, Times.micros("1970-01-01 00:00:00.000001+02:00"));
        assertEquals(60_123_456L, Times.micros("1970-01-01T00:01:00.123456789"));
        for (String wrong : List.of("", "1970", "1970-13-01", "1970-01-01T25:00:00", "1970-01-01T00:00:00.", "1970-01-01T00:00:00x")) {
            assertEquals(Instants.UNKNOWN, Times.micros(wrong), wrong);
        }
    }

    @Test
    void fieldsOfCsvMayBeQuoted() {
        assertEquals(List.of("a", "b,\"c\"", ""), RecordReader.split("a,\"b,\"\"c\"\"\",", ','));
        assertEquals(List.of(""), RecordReader.split("", ','));
        assertNull(RecordReader.split("a,\"b", ','));
        assertNull(RecordReader.split("\"a\"b,c", ','), "something stands behind the quote");
    }

    @Test
    void numbersHaveDigitsAPointAndAnExponent() {
        for (String right : List.of("0", "+1", "-1.5", ".5", "5.", "1e3", "1.E-3", "-.5e+10", "007")) {
            assertTrue(Typing.isNumber(right), right);
        }
        for (String wrong : List.of("", "+", ".", "e3", "1e", "1e+", "1.2.3", "1 ", "0x1", "1f", "--1", "1e3.0", "-.e1")) {
            assertFalse(Typing.isNumber(wrong), wrong);
        }
    }

    @Test
    void sumsOfDoublesAreExactInAnyOrder() {
        double[] values = {1e300, 0.1, -1e300, 0.2, 1e-300, -0.1, 3.0};
        ExactSum forth = new ExactSum();
        ExactSum back = new ExactSum();
        for (int place = 0; place < values.length; place++) {
            forth.add(values[place]);
            back.add(values[values.length - 1 - place]);
        }
        assertEquals(3.2, forth.rounded());
        assertEquals(forth.rounded(), back.rounded());
    }

    @Test
    void theSumOfOneValueIsThatValue() {
        for (double value : new double[] {Double.MIN_VALUE, -3e-324, -2.2250738586e-313, 2.2250738585072014E-308, 1e-9, Double.MAX_VALUE}) {
            ExactSum sum = new ExactSum();
            sum.add(value);
            assertEquals(value, sum.rounded());
        }
    }

    @Test
    void keysSortByCodePoints() {
        assertEquals(-1, Integer.signum(Values.compareTexts("\uFFFD", "\uD83D\uDE00")));
        assertEquals(-1, Integer.signum(Values.compareTexts("a", "ab")));
    }
}
