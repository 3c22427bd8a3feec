package eventide.flink;

import java.io.Serializable;
import java.math.BigDecimal;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/** What a column must be: from text or JSON to its type, and why a value is refused. */
record Typing(String name, String type, String path, String unit, boolean nullable, Double minimum, Double maximum, String minimumText, String maximumText)
        implements Serializable {
    private static final int SHOWN = 40;
    /** Times are smaller than this, before 1970 and after it. */
    private static final long MOST_US = 1L << 62;

    static Typing of(Plan.Column column) {
        return new Typing(
                column.name(), column.type(), column.path(), column.unit(), column.nullable(), bound(column.minimum()),
                bound(column.maximum()), column.minimum(), column.maximum());
    }

    private static Double bound(String text) {
        return text == null ? null : Double.valueOf(text);
    }

    Object ofText(String text) {
        return switch (type) {
            case "string" -> text;
            case "integer" -> whole(text.strip());
            case "float" -> number(text.strip());
            case "boolean" -> truth(text);
            default -> instant(text);
        };
    }

    Object ofJson(JsonNode value) {
        if (type.equals("string")) {
            return value.isTextual() ? value.asText() : value.toString();
        }
        if (value.isTextual()) {
            return ofText(value.asText());
        }
        if (value.isBoolean()) {
            return type.equals("boolean") ? (Object) value.asBoolean() : null;
        }
        if (!value.isNumber()) {
            return null;
        }
        return switch (type) {
            case "float" -> (Object) value.asDouble();
            case "integer" -> value.canConvertToLong() && value.decimalValue().stripTrailingZeros().scale() <= 0 ? (Object) value.asLong() : null;
            case "instant" -> Double.isInfinite(value.doubleValue()) ? null : since(value.decimalValue());
            default -> null;
        };
    }

    /** The value that a whole number of JSON is; null when it is none. */
    Object ofWhole(long number) {
        return switch (type) {
            case "string" -> Long.toString(number);
            case "float" -> (Object) (double) number;
            case "integer" -> number;
            case "instant" -> since(number);
            default -> null;
        };
    }

    private static Object whole(String text) {
        int from = text.startsWith("-") || text.startsWith("+") ? 1 : 0;
        int end = digits(text, from);
        if (end != text.length() || end == from || end - from > 19) {
            return null;
        }
        try {
            return Long.valueOf(text);
        } catch (NumberFormatException fault) {
            return null; // beyond 64 bits
        }
    }

    private static Object number(String text) {
        if (isNumber(text)) {
            return Double.valueOf(text);
        }
        String word = text.startsWith("-") || text.startsWith("+") ? text.substring(1) : text;
        return switch (word.toLowerCase(java.util.Locale.ROOT)) {
            case "nan" -> (Object) Double.NaN;
            case "inf", "infinity" -> text.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
            default -> null;
        };
    }

    /** A sign, digits with a point among them, in front of them or behind them, an exponent: all but the digits may be missing. */
    static boolean isNumber(String text) {
        int from = text.startsWith("-") || text.startsWith("+") ? 1 : 0;
        int at = digits(text, from);
        int many = at - from;
        if (at < text.length() && text.charAt(at) == '.') {
            int behind = digits(text, at + 1);
            many += behind - at - 1;
            at = behind;
        }
        if (many == 0 || at == text.length()) {
            return many > 0;
        }
        if (text.charAt(at) != 'e' && text.charAt(at) != 'E') {
            return false;
        }
        int begin = at + 1;
        if (begin < text.length() && (text.charAt(begin) == '+' || text.charAt(begin) == '-')) {
            begin++;
        }
        return begin < text.length() && digits(text, begin) == text.length();
    }

    /** Where digits that begin at a place end. */
    private static int digits(String text, int from) {
        int at = from;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at;
    }

    private static Object truth(String text) {
        return switch (text.toLowerCase(java.util.Locale.ROOT)) {
            case "true", "1" -> (Object) true;
            case "false", "0" -> (Object) false;
            default -> null;
        };
    }

    private Object instant(String text) {
        if (isNumber(text)) {
            return since(new BigDecimal(text));
        }
        long micros = Times.micros(text);
        return micros == Instants.UNKNOWN ? null : (Object) micros;
    }

    private Object since(long number) {
        long factor = switch (unit) {
            case "s" -> 1_000_000;
            case "ms" -> 1_000;
            default -> 1;
        };
        if (number > (MOST_US - 1) / factor || number < -(MOST_US - 1) / factor) {
            return since(BigDecimal.valueOf(number));
        }
        return unit.equals("ns") ? Math.floorDiv(number, 1_000L) : number * factor;
    }

    /** A number of units since 1970 as microseconds; null where it does not fit. */
    private Object since(BigDecimal number) {
        BigDecimal micros = switch (unit) {
            case "s" -> number.movePointRight(6);
            case "ms" -> number.movePointRight(3);
            case "ns" -> number.movePointLeft(3).setScale(0, java.math.RoundingMode.FLOOR);
            default -> number;
        };
        BigDecimal whole = micros.setScale(0, java.math.RoundingMode.HALF_EVEN);
        return whole.abs().compareTo(BigDecimal.valueOf(MOST_US)) < 0 ? (Object) whole.longValueExact() : null;
    }

    /** Why a value is refused; null when it is good. {@code raw} is what it was read from, null where there was nothing. */
    String refusal(Object value, String raw) {
        if (value == null) {
            return raw != null ? "not " + what() + ": " + shown(raw) : nullable ? null : "missing";
        }
        if (minimum != null && ((Number) value).doubleValue() < minimum) {
            return "below minimum " + minimumText + ": " + shown(raw);
        }
        return maximum != null && ((Number) value).doubleValue() > maximum ? "above maximum " + maximumText + ": " + shown(raw) : null;
    }

    /** True when some value of the right type would be refused, or none. */
    boolean refuses() {
        return !nullable || minimum != null || maximum != null;
    }

    private static String shown(String raw) {
        return '"' + raw.substring(0, Math.min(SHOWN, raw.length())) + '"';
    }

    private String what() {
        return switch (type) {
            case "integer" -> "a whole number";
            case "float" -> "a number";
            case "boolean" -> "true or false";
            case "instant" -> "a time";
            default -> "text";
        };
    }
}
