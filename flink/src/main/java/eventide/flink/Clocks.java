package eventide.flink;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The clocks of the logs of one door, and the watermark that closes windows. Law: semantics, sections 2 and 3; the watermark before an
 * event comes from the events before it in its own log.
 */
final class Clocks {
    private final Plan.EventTime settings;
    private final int marker;
    private final int key;
    private final boolean closesByKey;
    private final Map<String, LogClock> logs = new LinkedHashMap<>();
    /** Where keys close windows: what those of each key had closed by when the last live log fell silent or ended. */
    private final Map<Object, Long> closed = new HashMap<>();
    private long stream = Instants.NO_WATERMARK;

    /**
     * Without {@code settings} there is no event time. {@code marker} and {@code key} are the places of those columns in a row, -1
     * where the settings name none.
     */
    Clocks(Plan.EventTime settings, int marker, int key) {
        this.settings = settings;
        this.marker = marker;
        this.key = key;
        this.closesByKey = settings != null && settings.closesByKey();
    }

    /** The clock of a log. One that is met in the middle of a run starts where windows have closed (decisions 0007 and 0031). */
    LogClock of(String log) {
        LogClock clock = logs.get(log);
        if (clock == null) {
            clock = new LogClock(log);
            goOn(clock);
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

    /** A log leaves those that count. Where it was the last, what windows have closed by stays until one is back. */
    void leave(LogClock clock, boolean atItsEnd) {
        if (closesByKey && clock.isAlive() && logs.values().stream().filter(LogClock::isAlive).count() == 1) {
            keys().forEach(one -> closed.put(one, clock.ofKey(one)));
        }
        clock.idle |= !atItsEnd;
        clock.finished |= atItsEnd;
    }

    /** A silent log goes on from where windows have closed: each of its keys from that key's (decisions 0007 and 0031). */
    void comeBack(LogClock clock) {
        if (clock.idle) {
            goOn(clock);
            clock.idle = false;
        }
    }

    private void goOn(LogClock clock) {
        clock.watermark = Math.max(clock.watermark, stream);
        if (closesByKey) {
            for (Object one : keys()) {
                long floor = closing(one);
                if (floor > clock.ofKey(one)) {
                    clock.keys.computeIfAbsent(one, absent -> new LogClock.OfKey()).watermark = floor;
                }
            }
            closed.clear();
        }
    }

    private Set<Object> keys() {
        Set<Object> all = new HashSet<>(closed.keySet());
        logs.values().forEach(clock -> all.addAll(clock.keys.keySet()));
        return all;
    }

    /** Moves the stream watermark on, if the move of one log from an instant may do so: only the logs that are last hold it. */
    void settle(long from) {
        if (from <= stream) {
            settle();
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

    /** True when every log is idle or has ended. */
    boolean areAllSilent() {
        return logs.values().stream().noneMatch(LogClock::isAlive);
    }

    /** The time of the last event of all logs. */
    long front() {
        return logs.values().stream().mapToLong(clock -> clock.front).max().orElse(Instants.NO_WATERMARK);
    }

    /** No event in front of an instant is expected any more: all logs are silent, and each goes on from there. */
    void close(long instant) {
        stream = Math.max(stream, instant);
    }

    /** The input of all logs has ended, of those too that never had an event. */
    void finish() {
        logs.values().forEach(clock -> clock.finished = true);
        closed.clear();
        stream = Instants.END_OF_TIME;
    }

    /** The watermark that closes the windows of the key of a row, which has a clock. */
    long closing(Object[] row) {
        return closing(row[key]);
    }

    private long closing(Object one) {
        long least = Instants.END_OF_TIME;
        boolean alive = false;
        for (LogClock clock : logs.values()) {
            if (clock.isAlive()) {
                alive = true;
                least = Math.min(least, clock.ofKey(one));
            }
        }
        return alive ? least : Math.max(stream, closed.getOrDefault(one, stream));
    }

    Map<Object, Long> closed() {
        return closed;
    }

    /** What windows had closed by; state of older jobs does not say it: then the least that the silent logs show. */
    void restoreClosed(Map<Object, Long> saved) {
        closed.putAll(saved);
        if (!closesByKey || !saved.isEmpty() || logs.values().stream().anyMatch(LogClock::isAlive)) {
            return;
        }
        for (Object one : keys()) {
            logs.values().stream().filter(clock -> !clock.finished).mapToLong(clock -> clock.ofKey(one)).min()
                    .ifPresent(least -> closed.put(one, least));
        }
    }

    void restoreStream(long watermark) {
        stream = Math.max(stream, watermark);
    }
}
