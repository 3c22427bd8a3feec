package eventide.flink;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Lines of a stream of bytes: what stands in front of LF, or of CR LF, and behind the last of them if anything does. Law: how the bytes come in
 * changes nothing; memory holds a block, or the longest line.
 */
final class LineReader implements Closeable {
    private static final int BLOCK = 64 * 1024;
    private static final int LONGEST = Integer.MAX_VALUE - 8;

    private final InputStream in;
    private byte[] block = new byte[BLOCK];
    private int from;
    private int until;
    private long position;

    /** Lines from where the stream stands, which is so many bytes behind the beginning of the content. */
    LineReader(InputStream in, long position) {
        this.in = in;
        this.position = position;
    }

    /** Where the next line begins, in bytes from the beginning of the content. */
    long position() {
        return position;
    }

    /** The next line without its end; null behind the last. */
    byte[] next() throws IOException {
        int at = from;
        while (true) {
            for (; at < until; at++) {
                if (block[at] == '\n') {
                    return line(at, at + 1);
                }
            }
            int seen = at - from;
            if (!more()) {
                return from == until ? null : line(until, until);
            }
            at = from + seen;
        }
    }

    private byte[] line(int end, int next) {
        byte[] line = Arrays.copyOfRange(block, from, end > from && block[end - 1] == '\r' ? end - 1 : end);
        position += next - from;
        from = next;
        return line;
    }

    /** Reads on behind what is left of the block, which grows where a line fills it and shrinks again behind that. */
    private boolean more() throws IOException {
        int left = until - from;
        if (left == LONGEST) {
            throw new IOException("a line is longer than 2 GiB");
        }
        int size = left < BLOCK ? BLOCK : left < block.length ? block.length : (int) Math.min(2L * left, LONGEST);
        byte[] into = size == block.length ? block : new byte[size];
        System.arraycopy(block, from, into, 0, left);
        block = into;
        from = 0;
        until = left;
        int read = in.read(block, until, size - until);
        until += Math.max(read, 0);
        return read > 0;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
