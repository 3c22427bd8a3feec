package eventide.flink;

import java.io.IOException;
import java.math.BigInteger;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Sums of values, of their squares and of their products with time: what variance and the least-squares line are made of. */
final class Moments extends Term {
    /** 2020-01-01: moments of time are counted from here so that their products stay small. */
    static final long ORIGIN_US = 1_577_836_800_000_000L;

    private final boolean overTime;
    private ExactSum sum = new ExactSum();
    private ExactSum products = new ExactSum();
    private ExactSum errors = new ExactSum();
    private final Int128 times = new Int128();
    private final Int128 squaredTimes = new Int128();

    /** With {@code overTime} products are value by time, otherwise squares of values. */
    Moments(boolean overTime) {
        this.overTime = overTime;
    }

    @Override
    void take(Object value, Event event) {
        double x = ((Number) value).doubleValue();
        sum.add(x);
        long time = event.time - ORIGIN_US;
        double[] product = Floats.twoProduct(x, overTime ? (double) time : x);
        products.add(product[0]);
        errors.add(product[1]);
        if (overTime) {
            times.add(time);
            squaredTimes.addSquare(time);
        }
    }

    @Override
    void join(Term other) {
        Moments that = (Moments) other;
        sum.merge(that.sum);
        products.merge(that.products);
        errors.merge(that.errors);
        times.add(that.times);
        squaredTimes.add(that.squaredTimes);
    }

    /** (n Q - S^2) / (n (n - ddof)) with S and Q exact, so that no cancellation shows. Null when n <= ddof. */
    Double variance(long ddof) {
        double n = count;
        if (!(n > ddof)) {
            return null;
        }
        double[] total = sum.parts();
        double[] square = Floats.times(total[0], total[0], total[1]);
        double[] summed = summedProducts();
        double spread = Floats.difference(
                Floats.times(n, summed[0], summed[1]), new double[] {square[0], square[1] + total[1] * total[0]});
        double variance = spread / (n * (n - ddof));
        return variance < 0 ? 0.0 : variance;
    }

    /**
     * The least-squares line: slope per microsecond, a time in microseconds since 2020, and the height there. Null with fewer than two
     * different times. With u = t - c for a c near the mean time: slope = (n sum(ux) - sum(u) sum(x)) / (n sum(u^2) - sum(u)^2).
     */
    Line line() {
        if (count == 0) {
            return null;
        }
        BigInteger n = BigInteger.valueOf(count);
        BigInteger t = times.toBig();
        BigInteger q = squaredTimes.toBig();
        BigInteger centre = floorDivide(t, n);
        BigInteger u = t.subtract(n.multiply(centre));
        BigInteger uu = q.subtract(centre.multiply(t.add(u)));
        double[] total = sum.parts();
        double[] summed = summedProducts();
        double ux = Floats.difference(summed, Floats.times(centre.doubleValue(), total[0], total[1]));
        double spread = n.multiply(uu).subtract(u.multiply(u)).doubleValue();
        if (!(spread > 0)) {
            return null;
        }
        double counted = count;
        double shift = u.doubleValue();
        double slope = (counted * ux - shift * total[0]) / spread;
        return new Line(slope, centre.longValueExact(), (total[0] - slope * shift) / counted);
    }

    record Line(double slopePerUs, long centreUs, double height) {}

    private static BigInteger floorDivide(BigInteger a, BigInteger b) {
        BigInteger[] parts = a.divideAndRemainder(b);
        return parts[1].signum() < 0 ? parts[0].subtract(BigInteger.ONE) : parts[0];
    }

    private double[] summedProducts() {
        double[] rounded = products.parts();
        double[] error = errors.parts();
        double[] high = Floats.twoSum(rounded[0], error[0]);
        return new double[] {high[0], high[1] + rounded[1] + error[1]};
    }

    @Override
    void writeRest(DataOutputView out) throws IOException {
        sum.write(out);
        products.write(out);
        errors.write(out);
        for (Int128 one : new Int128[] {times, squaredTimes}) {
            out.writeLong(one.high);
            out.writeLong(one.low);
        }
    }

    @Override
    void readRest(DataInputView in) throws IOException {
        sum = ExactSum.read(in);
        products = ExactSum.read(in);
        errors = ExactSum.read(in);
        for (Int128 one : new Int128[] {times, squaredTimes}) {
            one.high = in.readLong();
            one.low = in.readLong();
        }
    }
}
