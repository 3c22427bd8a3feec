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

    /** The first window that ends behind an instant. */
    Bounds firstOpen(long instant);

    /** The last window that begins at an instant or in front of it. */
    Bounds last(long instant);

    /** The window behind one. */
    default Bounds after(Bounds one) {
        return firstOpen(one.end());
    }

    /** The end of the last window that covers a time; UNKNOWN where none does. */
    default long lastEnd(long time) {
        List<Bounds> windows = of(time);
        return windows.isEmpty() ? Instants.UNKNOWN : windows.get(windows.size() - 1).end();
    }

    static Grid of(Plan.Window window) {
        return switch (window.kind()) {
            case "sliding" -> new Steps(window.sizeUs(), window.slideUs(), window.offsetUs());
            case "calendar" -> new Calendar(window.unit(), window.timezone());
            case "global" -> new All();
            default -> throw new IllegalArgumentException("the window " + window.kind() + " is not known here");
        };
    }

    /** One window over all time. */
    record All() implements Grid {
        @Override
        public List<Bounds> of(long time) {
            return List.of(last(time));
        }

        @Override
        public Bounds firstOpen(long instant) {
            return last(instant);
        }

        @Override
        public Bounds last(long instant) {
            return new Bounds(Instants.EARLIEST, Instants.END_OF_TIME);
        }
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
        public Bounds firstOpen(long instant) {
            long start = (Math.floorDiv(instant - offset - size, slide) + 1) * slide + offset;
            return new Bounds(start, start + size);
        }

        @Override
        public Bounds after(Bounds one) {
            return new Bounds(one.start() + slide, one.end() + slide);
        }

        @Override
        public Bounds last(long instant) {
            long start = Math.floorDiv(instant - offset, slide) * slide + offset;
            return new Bounds(start, start + size);
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
            return List.of(last(time));
        }

        @Override
        public Bounds firstOpen(long instant) {
            return last(Math.max(instant, Instants.EARLIEST));
        }

        @Override
        public Bounds last(long time) {
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
            return new Bounds(micros(start, zone), micros(end, zone));
        }

        /** The first instant of a local day: midnight, or where the clocks jump to if they jump over midnight. */
        private static long micros(LocalDate day, ZoneId zone) {
            return ChronoUnit.MICROS.between(Instant.EPOCH, day.atStartOfDay(zone).toInstant());
        }
    }
}
