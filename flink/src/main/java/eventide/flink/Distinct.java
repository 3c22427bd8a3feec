package eventide.flink;

import java.io.IOException;
import java.util.TreeSet;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The smallest hashes of different values: a theta sketch of those below the largest one that is kept (decision 0034). */
final class Distinct extends Term {
    private final long exactUpTo;
    private final TreeSet<Long> hashes = new TreeSet<>();

    Distinct(long exactUpTo) {
        this.exactUpTo = exactUpTo;
    }

    @Override
    void take(Object value, Event event) {
        put(Murmur.of(value));
    }

    /** One more than are counted exactly is kept: theta. */
    private void put(long hash) {
        if (hashes.size() <= exactUpTo) {
            hashes.add(hash);
        } else if (hash < hashes.last() && hashes.add(hash)) {
            hashes.pollLast();
        }
    }

    /** How many different values there are: exactly, or nearly, by how densely their hashes lie. */
    long number() {
        return hashes.size() <= exactUpTo ? hashes.size() : (long) Math.rint(exactUpTo * 0x1p63 / hashes.last());
    }

    @Override
    void join(Term other) {
        ((Distinct) other).hashes.forEach(this::put);
    }

    @Override
    void writeRest(DataOutputView out) throws IOException {
        out.writeInt(hashes.size());
        for (long hash : hashes) {
            out.writeLong(hash);
        }
    }

    @Override
    void readRest(DataInputView in) throws IOException {
        for (int size = in.readInt(); size > 0; size--) {
            hashes.add(in.readLong());
        }
    }
}
