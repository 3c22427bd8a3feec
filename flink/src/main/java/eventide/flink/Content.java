package eventide.flink;

import java.io.IOException;
import java.util.List;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A window: its bounds, the terms of its aggregates, and what has come out of it. */
final class Content {
    long start;
    long end;
    /** The revision of the next row. */
    int next;
    /** A row has come out. */
    boolean out;
    /** The watermark has passed the end. */
    boolean closed;
    /** It has changed since its last early row. */
    boolean dirty;
    /** When the watermark's coming was asked for; only sessions look at it. */
    long wakes = Instants.NO_WATERMARK;
    final Term[] terms;

    Content(long start, long end, List<Aggregate> aggregates) {
        this(start, end, terms(aggregates));
    }

    Content(long start, long end, Term[] terms) {
        this.start = start;
        this.end = end;
        this.terms = terms;
    }

    /** New, empty terms. */
    static Term[] terms(List<Aggregate> aggregates) {
        Term[] terms = new Term[aggregates.size()];
        for (int place = 0; place < terms.length; place++) {
            terms[place] = aggregates.get(place).term();
        }
        return terms;
    }

    /** Takes a row in; {@code inputs} are the values of the aggregates' inputs. */
    void add(List<Aggregate> aggregates, Object[] inputs, Event event) {
        add(terms, aggregates, inputs, 0, event);
    }

    /** Takes a row into terms; the aggregates' inputs stand behind so many {@code keys}. */
    static void add(Term[] terms, List<Aggregate> aggregates, Object[] values, int keys, Event event) {
        for (int place = 0; place < terms.length; place++) {
            Aggregate aggregate = aggregates.get(place);
            if (aggregate.input() < 0) {
                terms[place].add(null, event);
                continue;
            }
            Object given = values[keys + aggregate.input()];
            Object value = terms[place] instanceof Term.Tally ? aggregate.counted(given) : given;
            if (value != null) {
                terms[place].add(value, event);
            }
        }
    }

    void merge(Content other) {
        for (int place = 0; place < terms.length; place++) {
            terms[place].merge(other.terms[place]);
        }
    }

    void write(DataOutputView out) throws IOException {
        out.writeLong(start);
        out.writeLong(end);
        out.writeInt(next);
        out.writeLong(wakes);
        out.writeByte((this.out ? 1 : 0) | (closed ? 2 : 0) | (dirty ? 4 : 0));
        for (Term term : terms) {
            term.write(out);
        }
    }

    static Content read(DataInputView in, List<Aggregate> aggregates) throws IOException {
        Content content = new Content(in.readLong(), in.readLong(), aggregates);
        content.next = in.readInt();
        content.wakes = in.readLong();
        int marks = in.readByte();
        content.out = (marks & 1) != 0;
        content.closed = (marks & 2) != 0;
        content.dirty = (marks & 4) != 0;
        for (Term term : content.terms) {
            term.read(in);
        }
        return content;
    }
}
