package eventide.flink;

import java.time.Instant;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;

/** Instants as text and back. */
final class Times {
    private Times() {}

    static Instant instant(long micros) {
        return Instant.EPOCH.plus(micros, ChronoUnit.MICROS);
    }

    static String text(long micros) {
        return instant(micros).toString();
    }

    /**
     * ISO 8601 text as microseconds; UNKNOWN when it is none. A date, then "T" or a blank and a time with up to nine digits behind the
     * second (all behind the sixth are cut off), then "Z", an offset or nothing for UTC.
     */
    static long micros(String text) {
        try {
            return parsed(text);
        } catch (java.time.DateTimeException | NumberFormatException | StringIndexOutOfBoundsException fault) {
            return Instants.UNKNOWN;
        }
    }

    private static long parsed(String text) {
        int length = text.length();
        if (length < 10 || text.charAt(4) != '-' || text.charAt(7) != '-') {
            return Instants.UNKNOWN;
        }
        long day = LocalDate.of(digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10)).toEpochDay();
        long micros = day * 86_400_000_000L;
        if (length == 10) {
            return micros;
        }
        char between = text.charAt(10);
        if (between != 'T' && between != ' ' || text.charAt(13) != ':') {
            return Instants.UNKNOWN;
        }
        int hour = digits(text, 11, 13);
        int minute = digits(text, 14, 16);
        int at = 16;
        int second = 0;
        if (at < length && text.charAt(at) == ':') {
            second = digits(text, 17, 19);
            at = 19;
        }
        if (hour > 23 || minute > 59 || second > 59) {
            return Instants.UNKNOWN;
        }
        micros += (hour * 3600L + minute * 60L + second) * 1_000_000L;
        if (at < length && text.charAt(at) == '.') {
            int begin = ++at;
            int unit = 100_000;
            while (at < length && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                micros += (long) (text.charAt(at) - '0') * unit;
                unit /= 10;
                at++;
            }
            if (at == begin || at - begin > 9) {
                return Instants.UNKNOWN;
            }
        }
        return at == length ? micros : offset(text, at, micros);
    }

    private static long offset(String text, int at, long micros) {
        char sign = text.charAt(at);
        int length = text.length();
        if (sign == 'Z') {
            return at + 1 == length ? micros : Instants.UNKNOWN;
        }
        boolean colon = length == at + 6 && text.charAt(at + 3) == ':';
        if (sign != '+' && sign != '-' || !colon && length != at + 5 && length != at + 3) {
            return Instants.UNKNOWN;
        }
        int hours = digits(text, at + 1, at + 3);
        int minutes = length == at + 3 ? 0 : digits(text, length - 2, length);
        long shift = (hours * 60L + minutes) * 60_000_000L;
        return sign == '+' ? micros - shift : micros + shift;
    }

    private static int digits(String text, int from, int to) {
        int number = 0;
        for (int at = from; at < to; at++) {
            int digit = text.charAt(at) - '0';
            if (digit < 0 || digit > 9) {
                throw new NumberFormatException(text);
            }
            number = number * 10 + digit;
        }
        return number;
    }
}
