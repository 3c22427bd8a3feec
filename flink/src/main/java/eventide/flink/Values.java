package eventide.flink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** Values of columns: null, Long (integers, and instants as microseconds), Double, Boolean or String. Each is written with its kind. */
final class Values {
    private static final byte NULL = 0;
    private static final byte LONG = 1;
    private static final byte DOUBLE = 2;
    private static final byte TRUE = 3;
    private static final byte FALSE = 4;
    private static final byte STRING = 5;
    private static final byte ASCII = 6;
    private static final int LONGEST_ASCII = Short.MAX_VALUE;

    private Values() {}

    static void write(Object value, DataOutputView out) throws IOException {
        if (value == null) {
            out.writeByte(NULL);
        } else if (value instanceof Long number) {
            out.writeByte(LONG);
            out.writeLong(number);
        } else if (value instanceof Double number) {
            out.writeByte(DOUBLE);
            out.writeDouble(number);
        } else if (value instanceof Boolean truth) {
            out.writeByte(truth ? TRUE : FALSE);
        } else if (value instanceof String text) {
            writeText(text, out);
        } else {
            throw new IOException("a value of " + value.getClass() + " cannot be written");
        }
    }

    static Object read(DataInputView in) throws IOException {
        byte kind = in.readByte();
        return switch (kind) {
            case NULL -> null;
            case LONG -> in.readLong();
            case DOUBLE -> in.readDouble();
            case TRUE -> Boolean.TRUE;
            case FALSE -> Boolean.FALSE;
            case STRING -> StringValue.readString(in);
            case ASCII -> ascii(in);
            default -> throw new IOException("a value of the unknown kind " + kind);
        };
    }

    /** Most texts are short and in ASCII: those go as bytes. */
    private static void writeText(String text, DataOutputView out) throws IOException {
        if (isAscii(text)) {
            out.writeByte(ASCII);
            out.writeShort(text.length());
            out.write(text.getBytes(StandardCharsets.ISO_8859_1)); // writeBytes of Flink's buffers moves on twice as far
        } else {
            out.writeByte(STRING);
            StringValue.writeString(text, out);
        }
    }

    private static boolean isAscii(String text) {
        int length = text.length();
        if (length > LONGEST_ASCII) {
            return false;
        }
        for (int place = 0; place < length; place++) {
            if (text.charAt(place) >= 128) {
                return false;
            }
        }
        return true;
    }

    private static String ascii(DataInputView in) throws IOException {
        byte[] bytes = new byte[in.readShort()];
        in.readFully(bytes);
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    static void writeAll(Object[] values, DataOutputView out) throws IOException {
        out.writeShort(values.length);
        for (Object value : values) {
            write(value, out);
        }
    }

    static Object[] readAll(DataInputView in) throws IOException {
        Object[] values = new Object[in.readShort()];
        for (int place = 0; place < values.length; place++) {
            values[place] = read(in);
        }
        return values;
    }

    /** Values in their order, nulls first, false before true, texts by their code points; NaN behind every number. */
    static int compare(Object a, Object b) {
        if (a == null || b == null) {
            return a == null ? (b == null ? 0 : -1) : 1;
        }
        if (a instanceof String left && b instanceof String right) {
            return compareTexts(left, right);
        }
        @SuppressWarnings("unchecked") // both are of the same column, so of the same class
        Comparable<Object> left = (Comparable<Object>) a;
        return left.compareTo(b);
    }

    /** By code points, as UTF-8 sorts; Java's own order puts the characters above U+FFFF too early. */
    static int compareTexts(String left, String right) {
        int length = Math.min(left.length(), right.length());
        for (int place = 0; place < length; place++) {
            char a = left.charAt(place);
            char b = right.charAt(place);
            if (a != b) {
                boolean isPair = Character.isSurrogate(a) || Character.isSurrogate(b);
                return isPair ? Integer.compare(left.codePointAt(place), right.codePointAt(place)) : Character.compare(a, b);
            }
        }
        return Integer.compare(left.length(), right.length());
    }
}
