package eventide.flink;

import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** From a record as bytes to typed columns. Law: what does not fit its column refuses the record with the field and the reason. */
final class RecordReader implements Serializable {
    private static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    /** What reading gave: values, or why and in which field it did not, and the record's text. */
    record Read(Object[] values, String reason, String field, String raw) {}

    private final Plan.Source source;
    private final List<Typing> typings;
    private final FlatJson flat;
    private final JsonTokens tokens;

    RecordReader(Plan.Source source) {
        this.source = source;
        this.typings = source.columns().stream().map(Typing::of).toList();
        this.flat = new FlatJson(typings);
        this.tokens = new JsonTokens(typings);
    }

    /** Where the columns stand in the records behind a header line. */
    int[] header(byte[] bytes) throws IOException {
        return places(split(new String(bytes, StandardCharsets.UTF_8).replace("\uFEFF", ""), source.separator().charAt(0)));
    }

    /** Where the columns stand in records whose fields have these names. */
    int[] places(List<String> names) throws IOException {
        int[] places = new int[typings.size()];
        for (int place = 0; place < places.length; place++) {
            Plan.Column column = source.columns().get(place);
            places[place] = names == null ? -1 : names.indexOf(column.path() == null ? column.name() : column.path());
            if (places[place] < 0) {
                throw new IOException("source " + source.name() + ": the header has no column " + column.name() + ": it reads " + names);
            }
        }
        return places;
    }

    Read read(byte[] bytes, int[] header) {
        return read(bytes, 0, bytes.length, header);
    }

    /** The record that stands in so many bytes. */
    Read read(byte[] bytes, int from, int length, int[] header) {
        boolean csv = source.format().equals("csv");
        if (!csv) {
            Object[] values = flat.read(bytes, from, from + length);
            if (values != null) {
                return new Read(values, null, null, null);
            }
        }
        if (isAscii(bytes, from, length)) {
            Object[] values = csv ? null : tokens.read(bytes, from, length);
            if (values != null) {
                return new Read(values, null, null, null);
            }
            String text = new String(bytes, from, length, StandardCharsets.ISO_8859_1);
            return csv ? csv(text, header) : byTree(text);
        }
        String text;
        try {
            ByteBuffer record = ByteBuffer.wrap(bytes, from, length);
            text = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT).decode(record).toString();
        } catch (CharacterCodingException fault) {
            return new Read(null, "not UTF-8", null, new String(bytes, from, length, StandardCharsets.UTF_8));
        }
        return csv ? csv(text, header) : byTree(text);
    }

    /** True for text of one byte a character, without the one that is zero. */
    private static boolean isAscii(byte[] bytes, int from, int length) {
        for (int at = from; at < from + length; at++) {
            if (bytes[at] <= 0) {
                return false;
            }
        }
        return true;
    }

    private Read csv(String text, int[] header) {
        List<String> fields = split(text, source.separator().charAt(0));
        if (fields == null) {
            return new Read(null, "a quote is not closed", null, text);
        }
        Object[] values = new Object[typings.size()];
        for (int place = 0; place < values.length; place++) {
            int at = header == null ? place : header[place];
            String field = at < fields.size() ? fields.get(at) : "";
            Typing typing = typings.get(place);
            Object value = field.isEmpty() ? null : typing.ofText(field);
            String reason = typing.refusal(value, field.isEmpty() ? null : field);
            if (reason != null) {
                return new Read(null, reason, typing.name(), text);
            }
            values[place] = value;
        }
        return new Read(values, null, null, text);
    }

    Read byTree(String text) {
        JsonNode tree;
        try {
            tree = JSON.readTree(text);
        } catch (JsonProcessingException fault) {
            return new Read(null, "not JSON", null, text);
        }
        if (tree == null || !tree.isObject()) {
            return new Read(null, "not a JSON object", null, text);
        }
        Object[] values = new Object[typings.size()];
        for (int place = 0; place < values.length; place++) {
            Typing typing = typings.get(place);
            JsonNode field = typing.path() == null ? tree.get(typing.name()) : tree.at(typing.path());
            boolean missing = field == null || field.isNull() || field.isMissingNode();
            Object value = missing ? null : typing.ofJson(field);
            String reason = typing.refusal(value, missing ? null : "");
            if (reason != null) {
                String raw = missing ? null : field.isTextual() ? field.asText() : field.toString();
                return new Read(null, typing.refusal(value, raw), typing.name(), text);
            }
            values[place] = value;
        }
        return new Read(values, null, null, text);
    }

    /** The fields of a line; null when a quote is not closed. A value that begins with a quote ends with one, quotes inside are doubled. */
    static List<String> split(String line, char separator) {
        List<String> fields = new ArrayList<>();
        int at = 0;
        int length = line.length();
        while (true) {
            if (at < length && line.charAt(at) == '"') {
                StringBuilder field = new StringBuilder();
                int end = quoted(line, at + 1, field);
                if (end < 0 || end < length && line.charAt(end) != separator) {
                    return null;
                }
                fields.add(field.toString());
                at = end;
            } else {
                int end = line.indexOf(separator, at);
                end = end < 0 ? length : end;
                fields.add(line.substring(at, end));
                at = end;
            }
            if (at >= length) {
                return fields;
            }
            at++;
        }
    }

    private static int quoted(String line, int from, StringBuilder field) {
        int at = from;
        while (at < line.length()) {
            char c = line.charAt(at);
            if (c != '"') {
                field.append(c);
            } else if (at + 1 < line.length() && line.charAt(at + 1) == '"') {
                field.append('"');
                at++;
            } else {
                return at + 1;
            }
            at++;
        }
        return -1;
    }
}
