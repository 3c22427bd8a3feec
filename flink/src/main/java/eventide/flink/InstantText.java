package eventide.flink;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;

/** Instants as ISO 8601 in UTC. Law: the text is that of Flink's JSON format; the day before is remembered, because windows lie close together. */
final class InstantText implements Serializable {
    private static final long DAY_US = 86_400_000_000L;
    private static final DateTimeFormatter ANY = new DateTimeFormatterBuilder()
            .append(DateTimeFormatter.ISO_LOCAL_DATE).appendLiteral('T').appendPattern("HH:mm:ss")
            .appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true).appendLiteral('Z').toFormatter();

    private final byte[] text = new byte[48];
    private long day = Long.MIN_VALUE;
    private int behindDay;

    /** Where the bytes of the last {@link #write} are. */
    byte[] bytes() {
        return text;
    }

    /** Writes an instant into {@link #bytes} and returns how long it is. */
    int write(long micros) {
        long of = Math.floorDiv(micros, DAY_US);
        if (of != day && !isDay(of)) {
            return any(micros);
        }
        long rest = micros - of * DAY_US;
        int second = (int) (rest / 1_000_000);
        int at = two(behindDay, second / 3600, ':');
        at = two(at, second / 60 % 60, ':');
        at = two(at, second % 60, '.');
        int fraction = (int) (rest % 1_000_000);
        at = fraction == 0 ? at - 1 : digits(at, fraction);
        text[at++] = 'Z';
        return at;
    }

    /** Puts a day in front; false for years without four digits. */
    private boolean isDay(long of) {
        String date = Math.abs(of) < 4_000_000 ? LocalDate.ofEpochDay(of).toString() : "";
        if (date.length() != 10) {
            return false;
        }
        System.arraycopy(date.getBytes(StandardCharsets.ISO_8859_1), 0, text, 0, 10);
        text[10] = 'T';
        behindDay = 11;
        day = of;
        return true;
    }

    private int two(int at, int number, char behind) {
        text[at] = (byte) ('0' + number / 10);
        text[at + 1] = (byte) ('0' + number % 10);
        text[at + 2] = (byte) behind;
        return at + 3;
    }

    /** Microseconds without zeros at their end. */
    private int digits(int at, int fraction) {
        int end = at + 6;
        for (int place = end - 1, rest = fraction; place >= at; place--, rest /= 10) {
            text[place] = (byte) ('0' + rest % 10);
        }
        while (text[end - 1] == '0') {
            end--;
        }
        return end;
    }

    private int any(long micros) {
        day = Long.MIN_VALUE;
        LocalDateTime time = LocalDateTime.ofInstant(Times.instant(micros), ZoneOffset.UTC);
        byte[] made = ANY.format(time).getBytes(StandardCharsets.ISO_8859_1);
        System.arraycopy(made, 0, text, 0, made.length);
        return made.length;
    }
}
