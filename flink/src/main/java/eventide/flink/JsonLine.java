package eventide.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactoryBuilder;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamWriteFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.SerializedString;
import org.apache.flink.types.Row;

/** Columns of result rows as one JSON object. Law: members, texts and nulls as Flink's JSON format writes them; a number reads as the same number. */
final class JsonLine {
    private static final JsonFactory FACTORY =
            new JsonFactoryBuilder().rootValueSeparator("").enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER).build();

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    private final JsonGenerator json;
    private final InstantText instants = new InstantText();
    private final SerializedString[] names;
    private final String[] types;
    private final int[] places;

    /** The columns of a shape to write, in this order. */
    JsonLine(Tables.Shape shape, List<String> columns) throws IOException {
        this.json = FACTORY.createGenerator(bytes);
        this.names = columns.stream().map(SerializedString::new).toArray(SerializedString[]::new);
        this.places = columns.stream().mapToInt(shape.names()::indexOf).toArray();
        this.types = columns.stream().map(name -> shape.types().get(shape.names().indexOf(name))).toArray(String[]::new);
    }

    byte[] of(Row row) throws IOException {
        json.writeStartObject();
        for (int place = 0; place < places.length; place++) {
            json.writeFieldName(names[place]);
            write(row.getField(places[place]), types[place]);
        }
        json.writeEndObject();
        json.flush();
        byte[] made = bytes.toByteArray();
        bytes.reset();
        return made;
    }

    private void write(Object value, String type) throws IOException {
        if (value == null) {
            json.writeNull();
        } else if (value instanceof String text) {
            json.writeString(text);
        } else if (value instanceof Boolean truth) {
            json.writeBoolean(truth);
        } else if (value instanceof Object[] many) {
            list(many, type);
        } else if (type.equals("instant")) {
            json.writeRawUTF8String(instants.bytes(), 0, instants.write((Long) value));
        } else if (type.equals("float")) {
            json.writeNumber(((Number) value).doubleValue());
        } else {
            json.writeNumber((Long) value);
        }
    }

    private void list(Object[] many, String type) throws IOException {
        boolean counted = type.startsWith("top of ");
        String each = type.substring(counted ? 7 : 8);
        json.writeStartArray();
        for (Object one : many) {
            if (counted) {
                pair((Row) one, each);
            } else {
                write(one, each);
            }
        }
        json.writeEndArray();
    }

    private void pair(Row pair, String type) throws IOException {
        json.writeStartObject();
        json.writeFieldName("value");
        write(pair.getField(0), type);
        json.writeFieldName("count");
        write(pair.getField(1), "integer");
        json.writeEndObject();
    }
}
