package eventide.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Short texts that come again and again, each made once. Law: only the time that it takes depends on what is remembered. */
final class Texts {
    private static final int PLACES = 1 << 13;
    private static final int LONGEST = 64;

    private final byte[][] bytes = new byte[PLACES][];
    private final String[] made = new String[PLACES];

    /** The text of bytes in ASCII. */
    String of(byte[] from, int begin, int end) {
        if (end - begin > LONGEST) {
            return new String(from, begin, end - begin, StandardCharsets.ISO_8859_1);
        }
        int hash = 0;
        for (int at = begin; at < end; at++) {
            hash = 31 * hash + from[at];
        }
        int place = (hash ^ hash >>> 13) & PLACES - 1;
        byte[] known = bytes[place];
        if (known == null || !Arrays.equals(known, 0, known.length, from, begin, end)) {
            bytes[place] = Arrays.copyOfRange(from, begin, end);
            made[place] = new String(from, begin, end - begin, StandardCharsets.ISO_8859_1);
        }
        return made[place];
    }
}
