package eventide.flink;

import java.io.IOException;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What `adaptive` knows of a log: the bound it has learnt, the forgetting histogram behind it, and the block being counted. */
final class Learner {
    private static final long[] BOUNDS = bounds();
    private static final int FIRST_EVENTS = 1_000;
    private static final int LONG_FROM = 50_000;

    private final double rate;
    private final long minUs;
    private final long maxUs;
    /** Counts by bucket, 1,024 for each event, halved from time to time; and those of the block. */
    private final TreeMap<Integer, Long> weights = new TreeMap<>();
    private final TreeMap<Integer, Long> block = new TreeMap<>();
    private long blocked;
    private int bucket = -1;
    private long events;
    private long since;
    private double surplus;
    private long boundUs;

    Learner(Plan.EventTime settings) {
        this.rate = settings.lateRate();
        this.minUs = settings.minUs();
        this.maxUs = settings.maxUs();
        this.boundUs = maxUs;
    }

    /** The whole parts of 1.02^k, as far as a long goes. */
    private static long[] bounds() {
        long[] found = new long[2_300];
        BigInteger over = BigInteger.ONE;
        BigInteger under = BigInteger.ONE;
        BigInteger most = BigInteger.valueOf(Long.MAX_VALUE);
        for (int place = 0; place < found.length; place++) {
            found[place] = over.divide(under).min(most).longValueExact();
            over = over.multiply(BigInteger.valueOf(51));
            under = under.multiply(BigInteger.valueOf(50));
        }
        return found;
    }

    /** The smallest k with behind <= 1.02^k; 0 for what is in order. */
    static int bucketOf(long behind) {
        int low = 0;
        for (int high = BOUNDS.length - 1; low < high; ) {
            int middle = (low + high) >>> 1;
            if (BOUNDS[middle] >= behind) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    long boundUs() {
        return boundUs;
    }

    /** Counts an event that came so far behind the front. */
    void take(long behind) {
        block.merge(bucketOf(behind), 1L, Long::sum);
        blocked++;
        if (blocked == (events < LONG_FROM ? 100 : 500)) {
            learn();
        }
    }

    private void learn() {
        double horizon = Math.max(2_000.0, 2 / rate);
        if (bucket >= 0) {
            long over = block.tailMap(bucket, false).values().stream().mapToLong(Long::longValue).sum();
            double most = 4 * rate * horizon;
            surplus = Math.min(Math.max(surplus + rate * blocked - over, -most), most);
        }
        block.forEach((place, number) -> weights.merge(place, 1_024 * number, Long::sum));
        block.clear();
        events += blocked;
        since += blocked;
        blocked = 0;
        if (since >= Math.max(6_000.0, 12 / rate)) {
            weights.replaceAll((place, weight) -> weight / 2);
            weights.values().removeIf(weight -> weight == 0);
            since = 0;
        }
        if (events >= FIRST_EVENTS) {
            choose(Math.min(Math.max(rate + surplus / horizon, rate / 2), 3 * rate));
        }
    }

    private void choose(double share) {
        double allowed = share * weights.values().stream().mapToLong(Long::longValue).sum();
        long above = 0;
        bucket = 0;
        for (Map.Entry<Integer, Long> one : weights.descendingMap().entrySet()) {
            above += one.getValue();
            if (above > allowed) {
                bucket = one.getKey();
                break;
            }
        }
        long learnt = bucket == 0 ? 0 : BOUNDS[bucket] + 1;
        boundUs = Math.min(Math.max(learnt, minUs), maxUs);
    }

    void write(DataOutputView out) throws IOException {
        for (long one : new long[] {boundUs, bucket, events, since}) {
            out.writeLong(one);
        }
        out.writeDouble(surplus);
        for (TreeMap<Integer, Long> counts : Arrays.asList(weights, block)) {
            out.writeInt(counts.size());
            for (Map.Entry<Integer, Long> one : counts.entrySet()) {
                out.writeInt(one.getKey());
                out.writeLong(one.getValue());
            }
        }
    }

    void read(DataInputView in) throws IOException {
        boundUs = in.readLong();
        bucket = (int) in.readLong();
        events = in.readLong();
        since = in.readLong();
        surplus = in.readDouble();
        for (TreeMap<Integer, Long> counts : Arrays.asList(weights, block)) {
            for (int size = in.readInt(); size > 0; size--) {
                int place = in.readInt();
                counts.put(place, in.readLong());
            }
        }
        blocked = block.values().stream().mapToLong(Long::longValue).sum();
    }
}
