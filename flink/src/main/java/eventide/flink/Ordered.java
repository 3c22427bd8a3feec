package eventide.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The first values (or the last one) by event time, then log, then offset. */
final class Ordered extends Term {
    private static final Comparator<Point> BY_PLACE =
            Comparator.comparingLong(Point::time).thenComparing(Point::log, Values::compareTexts).thenComparingLong(Point::offset);

    record Point(long time, String log, long offset, Object value) {}

    private final int limit;
    private final Comparator<Point> order;
    final List<Point> points = new ArrayList<>(1);

    Ordered(int limit, boolean last) {
        this.limit = limit;
        this.order = last ? BY_PLACE.reversed() : BY_PLACE;
    }

    @Override
    void take(Object value, Event event) {
        put(new Point(event.time, event.log, event.offset, value));
    }

    private void put(Point point) {
        if (points.isEmpty() || order.compare(points.get(points.size() - 1), point) < 0) {
            if (points.size() < limit) {
                points.add(point);
            }
            return;
        }
        int found = Collections.binarySearch(points, point, order);
        points.add(found < 0 ? -found - 1 : found, point);
        if (points.size() > limit) {
            points.remove(points.size() - 1);
        }
    }

    @Override
    void join(Term other) {
        ((Ordered) other).points.forEach(this::put);
    }

    @Override
    void writeRest(DataOutputView out) throws IOException {
        out.writeInt(points.size());
        for (Point point : points) {
            out.writeLong(point.time);
            Values.write(point.log, out);
            out.writeLong(point.offset);
            Values.write(point.value, out);
        }
    }

    @Override
    void readRest(DataInputView in) throws IOException {
        for (int size = in.readInt(); size > 0; size--) {
            points.add(new Point(in.readLong(), (String) Values.read(in), in.readLong(), Values.read(in)));
        }
    }
}
