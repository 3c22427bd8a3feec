package eventide.flink;

import java.math.BigInteger;

/**
 * Logarithmic buckets: bucket k holds the sizes above (101/99)^(k-1) and up to (101/99)^k. Law: the tables come from whole numbers, step
 * by step as the embedded engine computes them, so no logarithm decides where a value lies.
 */
final class Buckets {
    private static final int BELOW = 60_000;
    private static final int LOWEST = -36_000;
    private static final int HIGHEST = 35_489;
    private static final int INFINITE = HIGHEST + BELOW + 1;
    private static final int BITS = 200;
    private static final double WIDTH = Math.log(1.01 / 0.99);
    private static final double[] BOUNDS = new double[HIGHEST - LOWEST + 1];
    private static final double[] SIZES = new double[HIGHEST - LOWEST + 1];

    static {
        fill(0, HIGHEST, 101, 99);
        fill(0, LOWEST, 99, 101);
    }

    private Buckets() {}

    /** The powers from one order to another, each from the one before it, cut to {@code BITS} bits behind the first. */
    private static void fill(int from, int to, int times, int by) {
        BigInteger mantissa = BigInteger.ONE.shiftLeft(BITS);
        int exponent = -BITS;
        int step = Integer.signum(to - from);
        for (int order = from; ; order += step) {
            BOUNDS[order - LOWEST] = asDouble(mantissa, exponent);
            SIZES[order - LOWEST] = asDouble(mantissa.multiply(BigInteger.valueOf(99)).divide(BigInteger.valueOf(100)), exponent);
            if (order == to) {
                return;
            }
            mantissa = mantissa.shiftLeft(8).multiply(BigInteger.valueOf(times)).divide(BigInteger.valueOf(by));
            int longer = mantissa.bitLength() - BITS - 1;
            mantissa = mantissa.shiftRight(longer);
            exponent += longer - 8;
        }
    }

    /** The nearest double; what is beyond the largest counts as that. */
    private static double asDouble(BigInteger mantissa, int exponent) {
        return Math.min(Floats.scaled(mantissa.doubleValue(), exponent), Double.MAX_VALUE);
    }

    /** The bucket of a number that is not NaN: 0 for zero, one for infinity, negative ones mirrored. */
    static int of(double x) {
        if (x == 0) {
            return 0;
        }
        double size = Math.abs(x);
        if (size == Double.POSITIVE_INFINITY) {
            return x > 0 ? INFINITE : -INFINITE;
        }
        double order = Math.ceil(Math.log(size) / WIDTH);
        int place = (int) Math.min(Math.max(order, LOWEST + 1), HIGHEST - 1) - LOWEST;
        place = size <= BOUNDS[place - 1] ? place - 1 : size > BOUNDS[place] ? place + 1 : place;
        int bucket = place + LOWEST + BELOW;
        return x > 0 ? bucket : -bucket;
    }

    /** The number that stands for a bucket. */
    static double size(int bucket) {
        if (bucket == 0) {
            return 0.0;
        }
        double size = Math.abs(bucket) == INFINITE ? Double.POSITIVE_INFINITY : SIZES[Math.abs(bucket) - BELOW - LOWEST];
        return bucket > 0 ? size : -size;
    }
}
