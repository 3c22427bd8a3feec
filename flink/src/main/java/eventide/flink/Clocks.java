package eventide.flink;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The clocks of the logs of one door, and the watermark that closes windows. Law: semantics, sections 2 and 3; the watermark before an
 * event comes from the events before it in its own log.
 */
final class Clocks {
    private final Plan.EventTime settings;
    private final int marker;
    private final int key;
    private final Map<String, LogClock> logs = new LinkedHashMap<>();
    private long stream = Instants.NO_WATERMARK;

    /** {@code marker} and {@code key} are the places of those columns in a row, -1 where the settings name none. */
    Clocks(Plan.EventTime settings, int marker, int key) {
        this.settings = settings;
        this.marker = marker;
        this.key = key;
    }

    /** The clock of a log. One that is met in the middle of a run starts at the stream watermark (decision 0007). */
    LogClock of(String log) {
        LogClock clock = logs.get(log);
        if (clock == null) {
            clock = new LogClock(log);
            clock.watermark = stream;
            logs.put(log, clock);
        }
        return clock;
    }

    void put(LogClock clock) {
        logs.put(clock.log, clock);
    }

    Collection<LogClock> all() {
        return logs.values();
    }

    /** The smallest watermark of all logs that are neither idle nor finished; it never goes back. */
    long stream() {
        return stream;
    }

    long before(LogClock clock, Object[] row) {
        return key < 0 ? clock.reached() : clock.ofKey(row[key]);
    }

    /** Takes an event in. */
    void observe(LogClock clock, Object[] row, long time) {
        if (key < 0) {
            long before = clock.front;
            clock.front = Math.max(clock.front, time);
            clock.watermark = Math.max(clock.watermark, strategy(clock, row, before, clock.front, time));
            return;
        }
        LogClock.OfKey own = clock.keys.computeIfAbsent(row[key], absent -> new LogClock.OfKey());
        clock.front = Math.max(clock.front, time);
        long before = own.front;
        own.front = Math.max(own.front, time);
        own.watermark = Math.max(own.watermark, strategy(clock, row, before, own.front, time));
        clock.watermark = Math.max(clock.watermark, clock.front - settings.capUs());
    }

    private long strategy(LogClock clock, Object[] row, long before, long front, long time) {
        return switch (settings.strategy()) {
            case "ascending" -> front;
            case "bounded" -> front - settings.delayUs();
            case "adaptive" -> learnt(clock, before, front, time);
            case "punctuated" -> row[marker] == null ? Instants.NO_WATERMARK : (Long) row[marker];
            default -> throw new IllegalStateException("the strategy " + settings.strategy() + " is not known here");
        };
    }

    /** The bound in front of the event judges; then the event is learnt from. */
    private long learnt(LogClock clock, long before, long front, long time) {
        if (clock.learner == null) {
            clock.learner = new Learner(settings);
        }
        long bound = clock.learner.boundUs();
        clock.learner.take(before == Instants.NO_WATERMARK ? 0 : before - time);
        return front - bound;
    }

    /** A silent log goes on from the stream watermark (decision 0007). */
    void comeBack(LogClock clock) {
        if (clock.idle) {
            clock.idle = false;
            clock.watermark = Math.max(clock.watermark, stream);
        }
    }

    /** Moves the stream watermark on. */
    void settle() {
        long least = Instants.END_OF_TIME;
        boolean alive = false;
        boolean finished = !logs.isEmpty();
        for (LogClock clock : logs.values()) {
            finished &= clock.finished;
            if (clock.isAlive()) {
                alive = true;
                least = Math.min(least, clock.reached());
            }
        }
        if (alive) {
            stream = Math.max(stream, least);
        } else if (finished) {
            stream = Instants.END_OF_TIME;
        }
    }

    /** The input of all logs has ended, of those too that never had an event. */
    void finish() {
        logs.values().forEach(clock -> clock.finished = true);
        stream = Instants.END_OF_TIME;
    }

    /** The watermark that closes the windows of a key that has a clock. */
    long closing(Object[] row) {
        long least = Instants.END_OF_TIME;
        boolean alive = false;
        for (LogClock clock : logs.values()) {
            if (clock.isAlive()) {
                alive = true;
                least = Math.min(least, clock.ofKey(row[key]));
            }
        }
        return alive ? least : stream;
    }

    void restoreStream(long watermark) {
        stream = Math.max(stream, watermark);
    }
}
