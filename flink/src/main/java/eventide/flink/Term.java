package eventide.flink;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A mergeable state that aggregates are made of. Law: it depends only on the set of rows put into it (decision 0001).
 *
 * <p>A term takes the values of its own input column; nulls never reach it.
 */
abstract class Term {
    long count;

    final void add(Object value, Event event) {
        count++;
        take(value, event);
    }

    final void merge(Term other) {
        count += other.count;
        join(other);
    }

    final void write(DataOutputView out) throws IOException {
        out.writeLong(count);
        writeRest(out);
    }

    final void read(DataInputView in) throws IOException {
        count = in.readLong();
        readRest(in);
    }

    abstract void take(Object value, Event event);

    abstract void join(Term other);

    abstract void writeRest(DataOutputView out) throws IOException;

    abstract void readRest(DataInputView in) throws IOException;

    /** How many values there are; `count` alone. */
    static final class Counted extends Term {
        @Override
        void take(Object value, Event event) {}

        @Override
        void join(Term other) {}

        @Override
        void writeRest(DataOutputView out) {}

        @Override
        void readRest(DataInputView in) {}
    }

    /** The sum of integers, in 128 bits. */
    static final class WholeSum extends Term {
        final Int128 sum = new Int128();

        @Override
        void take(Object value, Event event) {
            sum.add((Long) value);
        }

        @Override
        void join(Term other) {
            sum.add(((WholeSum) other).sum);
        }

        @Override
        void writeRest(DataOutputView out) throws IOException {
            out.writeLong(sum.high);
            out.writeLong(sum.low);
        }

        @Override
        void readRest(DataInputView in) throws IOException {
            sum.high = in.readLong();
            sum.low = in.readLong();
        }
    }

    /** The exact sum of doubles. */
    static final class FloatSum extends Term {
        ExactSum sum = new ExactSum();

        @Override
        void take(Object value, Event event) {
            sum.add(((Number) value).doubleValue());
        }

        @Override
        void join(Term other) {
            sum.merge(((FloatSum) other).sum);
        }

        @Override
        void writeRest(DataOutputView out) throws IOException {
            sum.write(out);
        }

        @Override
        void readRest(DataInputView in) throws IOException {
            sum = ExactSum.read(in);
        }
    }

    /** The smallest and the largest value; NaN is passed over unless there is nothing else. */
    static final class Extremes extends Term {
        Object least;
        Object most;

        @Override
        void take(Object value, Event event) {
            if (value instanceof Double x && least instanceof Double low && !x.isNaN() && !low.isNaN()) {
                takeNumber(x, low, (Double) most);
            } else {
                takeAny(value);
            }
        }

        /** Numbers among numbers; which zero is kept does not show. */
        private void takeNumber(Double x, double low, double high) {
            if (x < low) {
                least = x;
            } else if (x > high) {
                most = x;
            }
        }

        private void takeAny(Object value) {
            boolean isNan = value instanceof Double number && number.isNaN();
            if (least == null || isNan(least) || !isNan && Values.compare(value, least) < 0) {
                least = value;
            }
            if (most == null || isNan(most) || !isNan && Values.compare(value, most) > 0) {
                most = value;
            }
        }

        private static boolean isNan(Object value) {
            return value instanceof Double number && number.isNaN();
        }

        @Override
        void join(Term other) {
            Extremes that = (Extremes) other;
            if (that.least != null) {
                take(that.least, null);
                take(that.most, null);
            }
        }

        @Override
        void writeRest(DataOutputView out) throws IOException {
            Values.write(least, out);
            Values.write(most, out);
        }

        @Override
        void readRest(DataInputView in) throws IOException {
            least = Values.read(in);
            most = Values.read(in);
        }
    }

    /** How often each value comes. */
    static final class Tally extends Term {
        final TreeMap<Object, Long> counts = new TreeMap<>(Values::compare);

        @Override
        void take(Object value, Event event) {
            counts.merge(value instanceof Double number && number == 0 ? (Object) 0.0 : value, 1L, Long::sum);
        }

        @Override
        void join(Term other) {
            ((Tally) other).counts.forEach((value, number) -> counts.merge(value, number, Long::sum));
        }

        @Override
        void writeRest(DataOutputView out) throws IOException {
            out.writeInt(counts.size());
            for (Map.Entry<Object, Long> one : counts.entrySet()) {
                Values.write(one.getKey(), out);
                out.writeLong(one.getValue());
            }
        }

        @Override
        void readRest(DataInputView in) throws IOException {
            for (int size = in.readInt(); size > 0; size--) {
                Object value = Values.read(in);
                counts.put(value, in.readLong());
            }
        }
    }
}
