package eventide.flink;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Values counted by logarithmic bucket, with the smallest and the largest (decision 0002). */
final class Quantiles extends Term {
    private final TreeMap<Integer, Long> counts = new TreeMap<>();
    private final Term.Extremes ends = new Term.Extremes();
    private long counted;

    @Override
    void take(Object value, Event event) {
        double x = ((Number) value).doubleValue();
        ends.take(x, event);
        if (!Double.isNaN(x)) {
            counts.merge(Buckets.of(x), 1L, Long::sum);
            counted++;
        }
    }

    /** The value of rank ceil(q n), within 1 %; null where there is nothing but NaN. */
    Double quantile(double q) {
        if (counted == 0) {
            return null;
        }
        long rank = (long) Math.max(Math.ceil(counted * q), 1);
        long reached = 0;
        for (Map.Entry<Integer, Long> one : counts.entrySet()) {
            reached += one.getValue();
            if (reached >= rank) {
                return between(Buckets.size(one.getKey()), (Double) ends.least, (Double) ends.most);
            }
        }
        return null;
    }

    private static double between(double value, double least, double most) {
        return value < least ? least : value > most ? most : value;
    }

    @Override
    void join(Term other) {
        Quantiles that = (Quantiles) other;
        that.counts.forEach((bucket, number) -> counts.merge(bucket, number, Long::sum));
        counted += that.counted;
        ends.join(that.ends);
    }

    @Override
    void writeRest(DataOutputView out) throws IOException {
        ends.writeRest(out);
        out.writeInt(counts.size());
        for (Map.Entry<Integer, Long> one : counts.entrySet()) {
            out.writeInt(one.getKey());
            out.writeLong(one.getValue());
        }
    }

    @Override
    void readRest(DataInputView in) throws IOException {
        ends.readRest(in);
        for (int size = in.readInt(); size > 0; size--) {
            int bucket = in.readInt();
            long number = in.readLong();
            counts.put(bucket, number);
            counted += number;
        }
    }
}
