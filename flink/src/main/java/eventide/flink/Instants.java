package eventide.flink;

/** Time as whole microseconds since 1970-01-01 UTC, and the two ends of it. Watermarks are exclusive, as everywhere in Eventide. */
final class Instants {
    static final long NO_WATERMARK = -(1L << 62);
    static final long END_OF_TIME = Long.MAX_VALUE;
    static final long EARLIEST = -62_135_596_800_000_000L;
    /** Stands for a time that nobody knows. */
    static final long UNKNOWN = Long.MIN_VALUE;

    private Instants() {}

    /** Flink's inclusive watermark for one of ours: Flink's own channels then take the smallest of several doors. */
    static long toFlink(long watermark) {
        return watermark == END_OF_TIME ? Long.MAX_VALUE : watermark - 1;
    }

    static long fromFlink(long inclusive) {
        if (inclusive == Long.MAX_VALUE) {
            return END_OF_TIME;
        }
        return inclusive <= NO_WATERMARK ? NO_WATERMARK : inclusive + 1;
    }

    /** a + b, held at the end of time. */
    static long later(long a, long b) {
        long sum = a + b;
        return ((a ^ sum) & (b ^ sum)) < 0 ? END_OF_TIME : sum;
    }
}
