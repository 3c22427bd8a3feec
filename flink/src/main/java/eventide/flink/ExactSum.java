package eventide.flink;

import java.io.IOException;
import java.math.BigInteger;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * The exact sum of doubles: 128-bit integers that add without rounding, in any order (decision 0001).
 *
 * <p>Values with 2^-12 <= |x| < 2^31 are counted in units of 2^-64; each further accumulator lies 43 binary orders away. NaN and
 * infinities add up in a double of their own.
 */
final class ExactSum {
    private static final int ORDERS = 43;
    private static final int LOWEST_EXPONENT = -12;
    private static final int UNIT_EXPONENT = 64;
    private static final int HEADROOM = 100;

    private final Int128 ordinary = new Int128();
    private TreeMap<Integer, Int128> others;
    private double strange;

    void add(double x) {
        if (x == 0) {
            return;
        }
        if (!Double.isFinite(x)) {
            strange += x;
            return;
        }
        long bits = Double.doubleToRawLongBits(x);
        long mantissa = bits & 0xFFFFFFFFFFFFFL;
        int exponent = (int) (bits >>> 52) & 0x7FF;
        int unit;
        if (exponent == 0) {
            unit = -1074;
        } else {
            mantissa |= 1L << 52;
            unit = exponent - 1075;
        }
        int order = unit + 63 - Long.numberOfLeadingZeros(mantissa);
        int lane = Math.floorDiv(order - LOWEST_EXPONENT, ORDERS);
        int shift = unit + UNIT_EXPONENT - ORDERS * lane;
        long signed = bits < 0 ? -mantissa : mantissa;
        if (shift >= 64) { // a subnormal number, whose digits begin far below its unit
            of(lane).add(signed << (shift - 64), 0);
        } else {
            of(lane).add(shift == 0 ? signed >> 63 : signed >> (64 - shift), signed << shift);
        }
    }

    private Int128 of(int lane) {
        if (lane == 0) {
            return ordinary;
        }
        if (others == null) {
            others = new TreeMap<>();
        }
        return others.computeIfAbsent(lane, absent -> new Int128());
    }

    void merge(ExactSum other) {
        ordinary.add(other.ordinary);
        strange += other.strange;
        if (other.others != null) {
            other.others.forEach((lane, sum) -> of(lane).add(sum));
        }
    }

    /** The sum rounded once. */
    double rounded() {
        if (others == null && strange == 0) {
            return ordinary.toDouble() * Math.scalb(1.0, -UNIT_EXPONENT);
        }
        return parts()[0];
    }

    /** The sum as a pair high + low of about 106 bits; high alone is the sum rounded to a double. */
    double[] parts() {
        double[] sum = added(0);
        if (Double.isNaN(sum[0])) { // on the way beyond the largest double, from where the rest may lead back
            double[] smaller = added(-HEADROOM);
            double high = Floats.scaled(smaller[0], HEADROOM);
            sum = new double[] {high, Double.isFinite(high) ? Floats.scaled(smaller[1], HEADROOM) : 0.0};
        }
        return new double[] {strange == 0 ? sum[0] : strange, sum[1]};
    }

    /** The accumulators times 2^exponent, added up as a pair. */
    private double[] added(int exponent) {
        TreeMap<Integer, Int128> lanes = others == null ? new TreeMap<>() : new TreeMap<>(others);
        lanes.put(0, ordinary);
        double high = 0;
        double low = 0;
        boolean begun = false;
        for (Map.Entry<Integer, Int128> lane : lanes.descendingMap().entrySet()) {
            for (double piece : pieces(lane.getValue(), ORDERS * lane.getKey() - UNIT_EXPONENT + exponent)) {
                if (!begun) {
                    high = piece;
                    begun = true;
                    continue;
                }
                double[] sum = Floats.twoSum(high, piece);
                high = sum[0];
                low += sum[1];
            }
        }
        return Floats.twoSum(high, low);
    }

    private static double[] pieces(Int128 sum, int exponent) {
        double[] pieces = new double[3];
        BigInteger rest = sum.toBig();
        for (int place = 0; place < 3; place++) {
            double piece = rest.doubleValue();
            pieces[place] = Floats.scaled(piece, exponent);
            rest = rest.subtract(new java.math.BigDecimal(piece).toBigInteger());
        }
        return pieces;
    }

    void write(DataOutputView out) throws IOException {
        out.writeLong(ordinary.high);
        out.writeLong(ordinary.low);
        out.writeDouble(strange);
        out.writeInt(others == null ? 0 : others.size());
        if (others != null) {
            for (Map.Entry<Integer, Int128> lane : others.entrySet()) {
                out.writeInt(lane.getKey());
                out.writeLong(lane.getValue().high);
                out.writeLong(lane.getValue().low);
            }
        }
    }

    static ExactSum read(DataInputView in) throws IOException {
        ExactSum sum = new ExactSum();
        sum.ordinary.high = in.readLong();
        sum.ordinary.low = in.readLong();
        sum.strange = in.readDouble();
        for (int lanes = in.readInt(); lanes > 0; lanes--) {
            Int128 lane = sum.of(in.readInt());
            lane.high = in.readLong();
            lane.low = in.readLong();
        }
        return sum;
    }
}
