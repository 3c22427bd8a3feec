package eventide.flink;

import java.io.IOException;
import java.util.List;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What a key has in a slice, for the windows of the slice that begin at {@code from} or later. */
final class Slice {
    final Key key;
    final long start;
    /** Moves on while its windows come out. */
    long from;
    final Term[] terms;

    Slice(Key key, long start, long from, Term[] terms) {
        this.key = key;
        this.start = start;
        this.from = from;
        this.terms = terms;
    }

    boolean counts(Slice other) {
        return start == other.start && from == other.from;
    }

    void merge(Slice other) {
        for (int place = 0; place < terms.length; place++) {
            terms[place].merge(other.terms[place]);
        }
    }

    /** All but the key. */
    void write(DataOutputView out) throws IOException {
        out.writeLong(start);
        out.writeLong(from);
        for (Term term : terms) {
            term.write(out);
        }
    }

    static Slice read(Key key, DataInputView in, List<Aggregate> aggregates) throws IOException {
        Slice slice = new Slice(key, in.readLong(), in.readLong(), Content.terms(aggregates));
        for (Term term : slice.terms) {
            term.read(in);
        }
        return slice;
    }
}
