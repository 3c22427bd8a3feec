package eventide.flink;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.apache.flink.types.Row;

/** One aggregate of a plan: the term it keeps and the result it makes of it. */
record Aggregate(String name, String function, int input, String type, Map<String, Object> arguments) implements Serializable {
    /** A new, empty state. */
    Term term() {
        return switch (function) {
            case "count", "rate" -> new Term.Counted();
            case "sum", "mean" -> type.equals("float") ? new Term.FloatSum() : new Term.WholeSum();
            case "min", "max", "range", "any", "all" -> new Term.Extremes();
            case "first" -> new Ordered(1, false);
            case "last" -> new Ordered(1, true);
            case "collect" -> new Ordered((int) whole("limit"), false);
            case "time_weighted_mean" -> new Ordered(Integer.MAX_VALUE, false);
            case "var", "std" -> new Moments(false);
            case "slope", "projection" -> new Moments(true);
            case "top_k", "histogram" -> new Term.Tally();
            case "quantile", "median" -> new Quantiles();
            case "count_distinct" -> new Distinct(whole("exact_up_to"));
            default -> throw new IllegalArgumentException("the aggregate " + function + " is not known here");
        };
    }

    /** The result of a window's term. */
    Object result(Term term, long start, long end) {
        return switch (function) {
            case "count" -> term.count;
            case "count_distinct" -> ((Distinct) term).number();
            case "rate" -> term.count * number("per") / (double) (end - start);
            case "sum" -> term.count == 0 ? null : sum(term);
            case "mean" -> term.count == 0 ? null : mean(term);
            case "min", "all" -> plain(((Term.Extremes) term).least);
            case "max", "any" -> plain(((Term.Extremes) term).most);
            case "range" -> range((Term.Extremes) term);
            case "first", "last" -> first((Ordered) term);
            case "collect" -> ((Ordered) term).points.stream().map(Ordered.Point::value).toArray();
            case "time_weighted_mean" -> held((Ordered) term, end);
            case "var" -> ((Moments) term).variance(whole("ddof"));
            case "std" -> deviation(((Moments) term).variance(whole("ddof")));
            case "slope" -> slope(((Moments) term).line());
            case "projection" -> projection(((Moments) term).line(), end);
            case "quantile" -> ((Quantiles) term).quantile(number("q"));
            case "median" -> ((Quantiles) term).quantile(0.5);
            case "top_k" -> most((Term.Tally) term);
            case "histogram" -> bins((Term.Tally) term);
            default -> throw new IllegalStateException(function);
        };
    }

    private static Object sum(Term term) {
        return term instanceof Term.FloatSum floats ? (Object) floats.sum.rounded() : (Object) ((Term.WholeSum) term).sum.toLong();
    }

    private static Object mean(Term term) {
        double total = term instanceof Term.FloatSum floats ? floats.sum.rounded() : ((Term.WholeSum) term).sum.toDouble();
        return total / term.count;
    }

    /** -0.0 as 0.0: they are equal, so which of them is the smaller depends on who came first. */
    private static Object plain(Object value) {
        return value instanceof Double number && number == 0 ? (Object) 0.0 : value;
    }

    private static Object range(Term.Extremes term) {
        if (term.least == null) {
            return null;
        }
        Object least = plain(term.least);
        Object most = plain(term.most);
        return least instanceof Double low ? (Object) ((Double) most - low) : (Object) spread((Long) most, (Long) least);
    }

    /** The difference of whole numbers, of which the larger comes first: it ends at the largest there is. */
    private static long spread(long most, long least) {
        long difference = most - least;
        return difference < 0 ? Long.MAX_VALUE : difference;
    }

    private static Object first(Ordered term) {
        return term.points.isEmpty() ? null : term.points.get(0).value();
    }

    /** Each reading holds until the next one, the last until the window's end. */
    private static Object held(Ordered term, long end) {
        List<Ordered.Point> points = term.points;
        if (points.isEmpty()) {
            return null;
        }
        double total = -0.0; // as sums begin in Polars: a window of -0.0 alone stays that
        for (int place = 0; place < points.size(); place++) {
            long until = place + 1 < points.size() ? points.get(place + 1).time() : end;
            total += ((Number) points.get(place).value()).doubleValue() * (until - points.get(place).time());
        }
        return total / (end - points.get(0).time());
    }

    private static Object deviation(Double variance) {
        return variance == null ? null : Math.sqrt(variance);
    }

    private Object slope(Moments.Line line) {
        return line == null ? null : line.slopePerUs() * number("per");
    }

    private Object projection(Moments.Line line, long end) {
        if (line == null) {
            return null;
        }
        long then = end + whole("ahead") - Moments.ORIGIN_US;
        return line.height() + line.slopePerUs() * (double) (then - line.centreUs());
    }

    private Object[] most(Term.Tally term) {
        List<Map.Entry<Object, Long>> entries = new ArrayList<>(term.counts.entrySet());
        entries.sort(Comparator.comparing(entry -> -entry.getValue())); // stable: among equals the smaller value first
        return entries.stream().limit(whole("k")).map(entry -> Row.of(entry.getKey(), entry.getValue())).toArray(Row[]::new);
    }

    private static final int OUTSIDE = -1;

    /** What the term counts of a value: the value itself, for a histogram its bin (null: it lies in none). */
    Object counted(Object value) {
        if (value == null || !function.equals("histogram")) {
            return value;
        }
        int bin = binOf(((Number) value).doubleValue(), (double[]) arguments.get("edges"));
        return bin == OUTSIDE ? null : (Object) (long) bin;
    }

    private static int binOf(double x, double[] edges) {
        int last = edges.length - 2;
        for (int place = 0; place <= last; place++) {
            if (x >= edges[place] && (place == last ? x <= edges[place + 1] : x < edges[place + 1])) {
                return place;
            }
        }
        return OUTSIDE;
    }

    private Object[] bins(Term.Tally term) {
        Long[] counts = new Long[((double[]) arguments.get("edges")).length - 1];
        for (int place = 0; place < counts.length; place++) {
            counts[place] = term.counts.getOrDefault((long) place, 0L);
        }
        return counts;
    }

    private long whole(String argument) {
        return ((Number) arguments.get(argument)).longValue();
    }

    private double number(String argument) {
        return ((Number) arguments.get(argument)).doubleValue();
    }
}
