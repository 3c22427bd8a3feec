package eventide.flink;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamReadFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.DoubleNode;

/**
 * Good records of JSON, token by token and without a tree. Law: what it reads is what the tree would give; a record that it does not
 * understand at once it leaves to the tree, which knows the reasons.
 */
final class JsonTokens implements Serializable {
    /** Its faster way from digits to doubles rounds like Java's own. */
    private static final JsonFactory FACTORY = JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();
    private static final Object UNCLEAR = new Object();
    /** Longer numbers are refused by the tree. */
    private static final int LONGEST_NUMBER = 1000;

    private final Typing[] typings;
    private final String[] names;
    private final boolean flat;

    JsonTokens(List<Typing> typings) {
        this.typings = typings.toArray(Typing[]::new);
        this.names = typings.stream().map(JsonTokens::member).toArray(String[]::new);
        this.flat = java.util.Arrays.stream(names).distinct().filter(name -> name != null).count() == names.length;
    }

    /** The member of a record that is the column; null when it lies deeper. */
    static String member(Typing typing) {
        if (typing.path() == null) {
            return typing.name();
        }
        String path = typing.path();
        return path.lastIndexOf('/') == 0 && path.indexOf('~') < 0 ? path.substring(1) : null;
    }

    /** The columns of a record; null where the tree has to say. The record is text in ASCII. */
    Object[] read(byte[] record) {
        return read(record, 0, record.length);
    }

    Object[] read(byte[] bytes, int from, int length) {
        if (!flat) {
            return null;
        }
        try (JsonParser parser = FACTORY.createParser(bytes, from, length)) {
            return parser.nextToken() == JsonToken.START_OBJECT ? columns(parser) : null;
        } catch (IOException fault) {
            return null;
        }
    }

    private Object[] columns(JsonParser parser) throws IOException {
        Object[] values = new Object[names.length];
        int expected = 0;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            int place = placeOf(name, expected);
            JsonToken token = parser.nextToken();
            if (place < 0) {
                if (!skipped(parser, token)) {
                    return null;
                }
                continue;
            }
            Object value = value(parser, token, typings[place]);
            if (value == UNCLEAR) {
                return null;
            }
            values[place] = value;
            expected = place + 1;
        }
        boolean complete = parser.currentToken() == JsonToken.END_OBJECT && parser.nextToken() == null;
        return complete && areGood(typings, values) ? values : null;
    }

    private int placeOf(String name, int expected) {
        if (expected < names.length && names[expected].equals(name)) {
            return expected;
        }
        for (int place = 0; place < names.length; place++) {
            if (names[place].equals(name)) {
                return place;
            }
        }
        return -1;
    }

    private static boolean skipped(JsonParser parser, JsonToken first) throws IOException {
        int depth = 0;
        for (JsonToken token = first; token != null; token = parser.nextToken()) {
            if (token.isNumeric() && parser.getTextLength() > LONGEST_NUMBER) {
                return false;
            }
            depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
            if (depth == 0) {
                return true;
            }
        }
        return false;
    }

    /** True when nothing refuses a value. */
    static boolean areGood(Typing[] typings, Object[] values) {
        for (int place = 0; place < values.length; place++) {
            if (typings[place].refusal(values[place], values[place] == null ? null : "") != null) {
                return false;
            }
        }
        return true;
    }

    private static Object value(JsonParser parser, JsonToken token, Typing typing) throws IOException {
        return switch (token) {
            case VALUE_NULL -> null;
            case VALUE_STRING -> known(typing.ofText(parser.getText()));
            case VALUE_NUMBER_INT -> parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER
                    ? UNCLEAR
                    : known(typing.ofWhole(parser.getLongValue()));
            case VALUE_NUMBER_FLOAT -> typing.type().equals("float")
                    ? (Object) parser.getDoubleValue()
                    : known(typing.ofJson(DoubleNode.valueOf(parser.getDoubleValue())));
            case VALUE_TRUE, VALUE_FALSE -> typing.type().equals("boolean") ? (Object) (token == JsonToken.VALUE_TRUE) : UNCLEAR;
            default -> UNCLEAR;
        };
    }

    private static Object known(Object value) {
        return value == null ? UNCLEAR : value;
    }
}
