package eventide.flink;

import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Plain records of JSON, straight from their bytes: one object of texts without escapes, numbers of few digits, truths and nulls. Law: what it
 * reads is what the tree would give; any other record it leaves to {@link JsonTokens}.
 */
final class FlatJson implements Serializable {
    private static final Object UNCLEAR = new Object();
    /** These powers of ten are doubles without rounding, and so are whole numbers up to 2^53: their quotient is rounded once. */
    private static final double[] TENS = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };
    private static final long WHOLE_DOUBLES = 1L << 53;
    private static final int MOST_DIGITS = 18;

    private final Typing[] typings;
    private final byte[][] names;
    private final boolean flat;
    private final boolean refuses;

    private transient Texts texts = new Texts();
    private transient byte[] bytes;
    private transient int at;
    private transient int end;

    FlatJson(List<Typing> typings) {
        this.typings = typings.toArray(Typing[]::new);
        String[] members = typings.stream().map(JsonTokens::member).toArray(String[]::new);
        this.flat = Arrays.stream(members).distinct().filter(name -> name != null && isPlain(name)).count() == members.length;
        this.names = flat ? Arrays.stream(members).map(name -> name.getBytes(StandardCharsets.ISO_8859_1)).toArray(byte[][]::new) : null;
        this.refuses = typings.stream().anyMatch(Typing::refuses);
    }

    private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
        in.defaultReadObject();
        texts = new Texts();
    }

    private static boolean isPlain(String name) {
        return name.chars().allMatch(one -> one >= ' ' && one < 127 && one != '"' && one != '\\');
    }

    /** The columns of the record in these bytes; null where others have to say. */
    Object[] read(byte[] record, int from, int to) {
        if (!flat) {
            return null;
        }
        bytes = record;
        at = from;
        end = to;
        Object[] values = new Object[names.length];
        return isRead(values) && (!refuses || JsonTokens.areGood(typings, values)) ? values : null;
    }

    private boolean isRead(Object[] values) {
        if (next() != '{') {
            return false;
        }
        int expected = 0;
        while (next() == '"') {
            int begin = at;
            if (!isText()) {
                return false;
            }
            int place = placeOf(begin, at - 1, expected);
            if (next() != ':') {
                return false;
            }
            Object value = value(place);
            if (value == UNCLEAR) {
                return false;
            }
            if (place >= 0) {
                values[place] = value;
                expected = place + 1;
            }
            int behind = next();
            if (behind != ',') {
                return behind == '}' && next() < 0;
            }
        }
        return false;
    }

    /** The next character that is no blank, and goes behind it; -1 at the end. */
    private int next() {
        while (at < end) {
            byte one = bytes[at++];
            if (one != ' ' && one != '\n' && one != '\r' && one != '\t') {
                return one;
            }
        }
        return -1;
    }

    /** Goes behind the quote that ends a text; false for texts with escapes or beyond ASCII. */
    private boolean isText() {
        while (at < end) {
            byte one = bytes[at++];
            if (one == '"') {
                return true;
            }
            if (one < ' ' || one == '\\') {
                return false;
            }
        }
        return false;
    }

    private int placeOf(int begin, int behind, int expected) {
        if (expected < names.length && isName(expected, begin, behind)) {
            return expected;
        }
        for (int place = 0; place < names.length; place++) {
            if (isName(place, begin, behind)) {
                return place;
            }
        }
        return -1;
    }

    private boolean isName(int place, int begin, int behind) {
        byte[] name = names[place];
        return Arrays.equals(name, 0, name.length, bytes, begin, behind);
    }

    private Object value(int place) {
        int first = next();
        if (first == '"') {
            int begin = at;
            return isText() ? text(place, begin, at - 1) : UNCLEAR;
        }
        if (first == '-' || first >= '0' && first <= '9') {
            return number(place, first);
        }
        return switch (first) {
            case 'n' -> isWord("ull") ? null : UNCLEAR;
            case 't' -> truth(place, isWord("rue"), true);
            case 'f' -> truth(place, isWord("alse"), false);
            default -> UNCLEAR;
        };
    }

    private Object text(int place, int begin, int behind) {
        if (place < 0) {
            return null;
        }
        Typing typing = typings[place];
        if (typing.type().equals("string")) {
            return texts.of(bytes, begin, behind);
        }
        return known(typing.ofText(new String(bytes, begin, behind - begin, StandardCharsets.ISO_8859_1)));
    }

    private Object truth(int place, boolean isWhole, boolean value) {
        return !isWhole || place >= 0 && !typings[place].type().equals("boolean") ? UNCLEAR : (Object) value;
    }

    private boolean isWord(String rest) {
        int length = rest.length();
        if (end - at < length) {
            return false;
        }
        for (int place = 0; place < length; place++) {
            if (bytes[at + place] != rest.charAt(place)) {
                return false;
            }
        }
        at += length;
        return true;
    }

    /** A number as JSON writes it: no zeros in front, digits on both sides of a point. Exponents and long numbers are left to others. */
    private Object number(int place, int first) {
        boolean negative = first == '-';
        int begin = negative ? at : at - 1;
        long digits = 0;
        at = begin;
        while (at < end && bytes[at] >= '0' && bytes[at] <= '9' && at - begin <= MOST_DIGITS) {
            digits = digits * 10 + bytes[at++] - '0';
        }
        int whole = at - begin;
        if (whole == 0 || whole > 1 && bytes[begin] == '0') {
            return UNCLEAR;
        }
        int behind = 0;
        if (at < end && bytes[at] == '.') {
            int point = at++;
            while (at < end && bytes[at] >= '0' && bytes[at] <= '9' && at - begin <= MOST_DIGITS) {
                digits = digits * 10 + bytes[at++] - '0';
            }
            behind = at - point - 1;
            if (behind == 0) {
                return UNCLEAR;
            }
        }
        if (whole + behind > MOST_DIGITS || at < end && isNumeric(bytes[at])) {
            return UNCLEAR;
        }
        if (place < 0) {
            return null;
        }
        return behind == 0 ? whole(typings[place], negative ? -digits : digits, negative) : broken(typings[place], digits, behind, negative);
    }

    private static boolean isNumeric(byte one) {
        return one >= '0' && one <= '9' || one == '.' || one == 'e' || one == 'E' || one == '+' || one == '-';
    }

    private static Object whole(Typing typing, long number, boolean negative) {
        return negative && number == 0 ? UNCLEAR : known(typing.ofWhole(number));
    }

    private static Object broken(Typing typing, long digits, int behind, boolean negative) {
        if (!typing.type().equals("float") || digits > WHOLE_DOUBLES) {
            return UNCLEAR;
        }
        double size = digits / TENS[behind];
        return negative ? -size : size;
    }

    private static Object known(Object value) {
        return value == null ? UNCLEAR : value;
    }
}
