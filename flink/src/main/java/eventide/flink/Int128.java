package eventide.flink;

import java.math.BigInteger;

/** A sum in 128 bits. Law: additions never round, so their order does not show (decision 0001). */
final class Int128 {
    long high;
    long low;

    void add(long addedHigh, long addedLow) {
        long sum = low + addedLow;
        long carry = Long.compareUnsigned(sum, low) < 0 ? 1 : 0;
        low = sum;
        high += addedHigh + carry;
    }

    void add(long value) {
        add(value >> 63, value);
    }

    void add(Int128 other) {
        add(other.high, other.low);
    }

    /** Adds the square of a value. */
    void addSquare(long value) {
        add(Math.multiplyHigh(value, value), value * value);
    }

    boolean isZero() {
        return high == 0 && low == 0;
    }

    BigInteger toBig() {
        BigInteger unsigned = BigInteger.valueOf(low >>> 1).shiftLeft(1).or(BigInteger.valueOf(low & 1));
        return BigInteger.valueOf(high).shiftLeft(64).add(unsigned);
    }

    /** The nearest double, ties to even. */
    double toDouble() {
        return high == low >> 63 ? (double) low : toBig().doubleValue();
    }

    /** Held at the ends of 64 bits. */
    long toLong() {
        if (high == low >> 63) {
            return low;
        }
        return high < 0 ? Long.MIN_VALUE : Long.MAX_VALUE;
    }
}
