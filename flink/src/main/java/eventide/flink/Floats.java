package eventide.flink;

/** Sums and products of doubles with their rounding errors, as the embedded engine computes them. */
final class Floats {
    private Floats() {}

    /** The rounded sum and its error, exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2). */
    static double[] twoSum(double a, double b) {
        double total = a + b;
        double virtual = total - a;
        return new double[] {total, (a - (total - virtual)) + (b - virtual)};
    }

    /** The rounded product and its error, exactly (Dekker, Numerische Mathematik 18, 1971), below about 2^996. */
    static double[] twoProduct(double a, double b) {
        double product = a * b;
        double aHigh = high(a);
        double aLow = a - aHigh;
        double bHigh = high(b);
        double bLow = b - bHigh;
        double error = ((aHigh * bHigh - product) + aHigh * bLow + aLow * bHigh) + aLow * bLow;
        return new double[] {product, Double.isFinite(product) && Double.isFinite(error) ? error : 0.0};
    }

    private static double high(double a) {
        double shifted = a * 134_217_729.0;
        return shifted - (shifted - a);
    }

    /** factor * (high + low) as a pair. */
    static double[] times(double factor, double high, double low) {
        double[] product = twoProduct(factor, high);
        return new double[] {product[0], product[1] + factor * low};
    }

    static double difference(double[] left, double[] right) {
        double[] sum = twoSum(left[0], -right[0]);
        return sum[0] + (sum[1] + left[1] - right[1]);
    }

    /** x * 2^exponent, in steps that a double can hold. */
    static double scaled(double x, int exponent) {
        while (Math.abs(exponent) > 900) {
            int step = exponent > 0 ? 900 : -900;
            x *= Math.scalb(1.0, step);
            exponent -= step;
        }
        return x * Math.scalb(1.0, exponent);
    }
}
