package eventide.flink;

import java.nio.charset.StandardCharsets;

/**
 * The hash by which different values are counted: MurmurHash3_x64_128 (Austin Appleby) with the seed of Apache DataSketches, its first
 * half shifted right by one bit. Law: the same value has the same hash in every version and in both engines (decision 0034).
 */
final class Murmur {
    private static final long SEED = 9001;
    private static final long C1 = 0x87c37b91114253d5L;
    private static final long C2 = 0x4cf5ad432745937fL;
    private static final int BLOCK = 16;

    private long h1 = SEED;
    private long h2 = SEED;

    private Murmur() {}

    /** The hash of a value; -0.0 is 0.0, and there is one NaN. */
    static long of(Object value) {
        if (value instanceof Long number) {
            return of(number.longValue());
        }
        if (value instanceof Double number) {
            return of(Double.doubleToLongBits(number + 0.0)); // -0.0 + 0.0 is 0.0
        }
        if (value instanceof Boolean truth) {
            return of(truth ? 1L : 0L);
        }
        return of(((String) value).getBytes(StandardCharsets.UTF_8));
    }

    /** The hash of eight bytes, the lowest one first. */
    private static long of(long word) {
        Murmur state = new Murmur();
        state.h1 ^= first(word);
        return state.finished(Long.BYTES);
    }

    static long of(byte[] bytes) {
        Murmur state = new Murmur();
        int at = 0;
        for (; at + BLOCK <= bytes.length; at += BLOCK) {
            state.take(word(bytes, at, Long.BYTES), word(bytes, at + Long.BYTES, Long.BYTES));
        }
        int left = bytes.length - at; // words that are not full end in zeros, and a word of zeros changes nothing
        state.h1 ^= first(word(bytes, at, Math.min(left, Long.BYTES)));
        state.h2 ^= second(word(bytes, at + Long.BYTES, left - Long.BYTES));
        return state.finished(bytes.length);
    }

    private void take(long k1, long k2) {
        h1 = (Long.rotateLeft(h1 ^ first(k1), 27) + h2) * 5 + 0x52dce729L;
        h2 = (Long.rotateLeft(h2 ^ second(k2), 31) + h1) * 5 + 0x38495ab5L;
    }

    private static long first(long k1) {
        return Long.rotateLeft(k1 * C1, 31) * C2;
    }

    private static long second(long k2) {
        return Long.rotateLeft(k2 * C2, 33) * C1;
    }

    private long finished(int length) {
        long a = (h1 ^ length) + (h2 ^ length);
        long b = (h2 ^ length) + a;
        return mixed(a) + mixed(b) >>> 1;
    }

    private static long mixed(long given) {
        long h = (given ^ given >>> 33) * 0xff51afd7ed558ccdL;
        h = (h ^ h >>> 33) * 0xc4ceb9fe1a85ec53L;
        return h ^ h >>> 33;
    }

    /** So many bytes from a place on as a number, the lowest one first; none for less than one. */
    private static long word(byte[] bytes, int from, int many) {
        long word = 0;
        for (int place = 0; place < many; place++) {
            word |= (bytes[from + place] & 0xffL) << 8 * place;
        }
        return word;
    }
}
