package eventide.flink;

import java.io.Serializable;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;

/** Which fixed windows cover an instant: those of a sliding grid, of a calendar, or the one over all time. */
interface Grid extends Serializable {
    record Bounds(long start, long end) {}

    /** The windows that cover a time, earliest first. */
    List<Bounds> of(long time);

    /** The end of the last window that covers a time; UNKNOWN where none does. */
    default long lastEnd(long time) {
        List<Bounds> windows = of(time);
        return windows.isEmpty() ? Instants.UNKNOWN : windows.get(windows.size() - 1).end();
    }

    static Grid of(Plan.Window window) {
        return switch (window.kind()) {
            case "sliding" -> new Steps(window.sizeUs(), window.slideUs(), window.offsetUs());
            case "calendar" -> new Calendar(window.unit(), window.timezone());
            case "global" -> time -> List.of(new Bounds(Instants.EARLIEST, Instants.END_OF_TIME));
            default -> throw new IllegalArgumentException("the window " + window.kind() + " is not known here");
        };
    }

    /** Windows of one size that begin every slide. */
    record Steps(long size, long slide, long offset) implements Grid {
        @Override
        public List<Bounds> of(long time) {
            long last = Math.floorDiv(time - offset, slide) * slide + offset;
            if (size == slide) {
                return List.of(new Bounds(last, last + size));
            }
            List<Bounds> found = new ArrayList<>();
            for (long start = last - Math.floorDiv(last - (time - size) - 1, slide) * slide; start <= last; start += slide) {
                found.add(new Bounds(start, start + size));
            }
            return found;
        }

        @Override
        public long lastEnd(long time) {
            long end = Math.floorDiv(time - offset, slide) * slide + offset + size;
            return time < end ? end : Instants.UNKNOWN;
        }
    }

    /** Days, weeks from Monday, months, quarters or years of a time zone. */
    record Calendar(String unit, String timezone) implements Grid {
        @Override
        public List<Bounds> of(long time) {
            ZoneId zone = ZoneId.of(timezone);
            LocalDate day = Instant.EPOCH.plus(time, ChronoUnit.MICROS).atZone(zone).toLocalDate();
            LocalDate start;
            LocalDate end;
            switch (unit) {
                case "1d" -> {
                    start = day;
                    end = day.plusDays(1);
                }
                case "1w" -> {
                    start = day.minusDays(day.getDayOfWeek().getValue() - 1L);
                    end = start.plusDays(7);
                }
                default -> {
                    int months = unit.equals("1mo") ? 1 : unit.equals("1q") ? 3 : 12;
                    int month = (day.getMonthValue() - 1) / months * months + 1;
                    start = LocalDate.of(day.getYear(), month, 1);
                    end = start.plusMonths(months);
                }
            }
            return List.of(new Bounds(micros(start, zone), micros(end, zone)));
        }

        private static long micros(LocalDate day, ZoneId zone) {
            return ChronoUnit.MICROS.between(Instant.EPOCH, day.atTime(0, 0).atZone(zone).toInstant());
        }
    }
}
