package eventide.flink;

import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** A plan as the compiler in Python writes it: flink/README.md has its shape. Durations are microseconds. */
record Plan(
        List<Source> sources,
        List<Column> columns,
        List<Shown> late,
        String time,
        EventTime eventTime,
        Window window,
        Join join,
        Side side,
        List<Output> outputs,
        List<String> identity,
        Map<String, String> settings)
        implements Serializable {
    static final int VERSION = 4;

    /** A column and its type: integer, float, string, boolean or instant; at a source with the rules of its field. */
    record Column(String name, String type, String path, String unit, boolean nullable, String minimum, String maximum)
            implements Serializable {}

    /**
     * A table of records as bytes, and how a record is read. The query gives record, log, partition, offset and arrival; where there is
     * no offset rows are counted. A log is a partition of what is named, or a file (below {@code root}, where that is given); {@code single}
     * names the only log. The row-wise steps are {@code select}, a query over the view {@code intake}; null where there are none.
     */
    record Source(
            String name, String ddl, String query, String intake, String select, String format, String separator, boolean header, List<Column> columns, String arrival,
            List<String> logs, String root, String single,
            List<String> fields)
            implements Serializable {
        String log(String found) {
            if (single != null) {
                return single;
            }
            if (root == null) {
                return found;
            }
            String path = found.replaceFirst("^file:/*", "/");
            return path.startsWith(root) ? path.substring(root.length()) : path;
        }
    }

    /** A column of the late output and of dead letters, and the column at the door that it is shown from. */
    record Shown(String name, String from) implements Serializable {}

    /** Strategy, clocks and guards; UNKNOWN stands for a setting that is not set. */
    record EventTime(
            String column, String strategy, long delayUs, double lateRate, long minUs, long maxUs, String marker, String clockKey, long capUs,
            long maxFutureUs, long maxAgeUs, long idleAfterUs, boolean closesWhenIdle, boolean closesByKey)
            implements Serializable {}

    /** Keys, window and aggregates; {@code uid} names their state, so that other windows do not take it for theirs. */
    record Window(
            String kind, List<String> keys, List<String> inputs, long sizeUs, long slideUs, long offsetUs, long gapUs, long count, long timeoutUs,
            String unit, String timezone, List<Aggregate> aggregates, String policy, long lateUs, String early, long everyUs,
            boolean fill, String uid)
            implements Serializable {}

    /**
     * Two streams that are one behind their doors: the columns of joined rows, the row-wise steps in front of windows as a query over the view
     * {@code joined} (null where there are none), what each side reads, the bounds of the interval, which sides have rows that come out
     * alone, the key columns of each, where each joined column stands in the rows of each side (-1 nowhere), and the late output.
     */
    record Join(List<Column> columns, String select, List<Plan> sides, long lowerUs, long upperUs, List<Boolean> aloneOf, List<List<String>> keys, List<int[]> from, List<Late> late)
            implements Serializable {
        /** True when rows of a side that find no partner come out. */
        boolean alone(int side) {
            return aloneOf.get(side);
        }
    }

    /** A column of a join's late output, and the names that it has in that of the left side and that of the right one; null where it has none. */
    record Late(String name, String type, String left, String right) implements Serializable {}

    /** What a side of a join hands on behind its door, and how far behind an event time rows look that are made of it. */
    record Side(List<String> hands, long reachUs) implements Serializable {}

    /** A statement that writes a named output; {@code lines} where the job itself writes the records of its sink. */
    record Output(String ddl, String insert, Lines lines) implements Serializable {}

    /** Results as records of JSON: the view that has them, their columns, and the columns of their keys, where the sink has keys. */
    record Lines(String view, List<String> columns, List<String> key) implements Serializable {}

    static Plan ofArguments(String[] arguments) throws IOException {
        for (int place = 0; place + 1 < arguments.length; place++) {
            if (arguments[place].equals("--plan")) {
                byte[] bytes = Base64.getUrlDecoder().decode(arguments[place + 1].replace('+', '-').replace('/', '_'));
                return of(new ObjectMapper().readTree(new String(bytes, StandardCharsets.UTF_8)));
            }
        }
        throw new IllegalArgumentException("no plan is given: pass --plan and the plan's JSON in base64");
    }

    static Plan of(JsonNode tree) {
        if (tree.path("version").asInt() != VERSION) {
            throw new IllegalArgumentException(
                    "the plan has version " + tree.path("version") + ", this job reads version " + VERSION + ": compile it with the same release");
        }
        List<Column> columns = each(tree.path("columns"), Plan::column);
        return new Plan(
                each(tree.path("sources"), Plan::source), columns, late(tree.path("late"), columns), text(tree, "time"),
                tree.hasNonNull("event_time") ? eventTime(tree.path("event_time")) : null,
                tree.hasNonNull("window") ? window(tree.path("window")) : null,
                tree.hasNonNull("join") ? join(tree.path("join")) : null,
                tree.hasNonNull("side") ? new Side(names(tree.path("side").path("hands")), tree.path("side").path("reach_us").asLong()) : null,
                each(tree.path("outputs"), Plan::output),
                each(tree.path("identity"), JsonNode::asText), settings(tree.path("settings")));
    }

    int place(String column) {
        for (int place = 0; place < columns.size(); place++) {
            if (columns.get(place).name().equals(column)) {
                return place;
            }
        }
        throw new IllegalArgumentException("the plan has no column " + column);
    }

    /** The place of a column; -1 where there is none of this name. */
    int placeOrNone(String column) {
        return columns.stream().map(Column::name).toList().indexOf(column);
    }

    int[] places(List<String> names) {
        return names.stream().mapToInt(this::place).toArray();
    }

    /** All logs that are known beforehand. */
    List<String> logs() {
        return sources.stream().flatMap(one -> one.logs().stream()).toList();
    }

    /** True when no log comes that is not among {@link #logs}. */
    boolean namesAllLogs() {
        return sources.stream().noneMatch(one -> one.logs().isEmpty());
    }

    /** The columns of rows that users see. */
    List<Column> shown() {
        return columns.stream().filter(one -> !one.name().startsWith("_")).toList();
    }

    /** True when the windows of a key close by the key's own clock. */
    boolean closesByKey() {
        return eventTime != null && eventTime.closesByKey();
    }

    private static Source source(JsonNode one) {
        return new Source(
                text(one, "name"), text(one, "ddl"), text(one, "query"), text(one, "intake"), text(one, "select"), text(one, "format"), text(one, "separator"),
                one.path("header").asBoolean(), each(one.path("columns"), Plan::column), text(one, "arrival"),
                each(one.path("logs"), JsonNode::asText), text(one, "root"), text(one, "single"),
                each(one.path("fields"), JsonNode::asText));
    }

    /** Where nothing is said, rows are shown as they stand at the door. */
    private static List<Shown> late(JsonNode given, List<Column> columns) {
        if (given.isMissingNode()) {
            return columns.stream().map(Column::name).filter(name -> !name.startsWith("_")).map(name -> new Shown(name, name)).toList();
        }
        return each(given, one -> new Shown(text(one, "name"), text(one, "from")));
    }

    private static Map<String, String> settings(JsonNode one) {
        Map<String, String> settings = new HashMap<>();
        one.properties().forEach(setting -> settings.put(setting.getKey(), setting.getValue().asText()));
        return settings;
    }

    private static Column column(JsonNode one) {
        return new Column(
                text(one, "name"), text(one, "type"), text(one, "path"), one.path("unit").asText("ms"), one.path("nullable").asBoolean(true),
                text(one, "minimum"), text(one, "maximum"));
    }

    private static Output output(JsonNode one) {
        JsonNode lines = one.path("lines");
        return new Output(text(one, "ddl"), text(one, "insert"), lines.isObject()
                ? new Lines(text(lines, "view"), each(lines.path("columns"), JsonNode::asText), each(lines.path("key"), JsonNode::asText))
                : null);
    }

    private static EventTime eventTime(JsonNode one) {
        return new EventTime(
                text(one, "column"), text(one, "strategy"), us(one, "delay_us"), one.path("late_rate").asDouble(), us(one, "min_us"), us(one, "max_us"),
                text(one, "marker"), text(one, "clock_key"), us(one, "cap_us"), us(one, "max_future_us"), us(one, "max_age_us"),
                us(one, "idle_after_us"), one.path("close_when_idle").asBoolean(), one.path("closes_by_key").asBoolean());
    }

    private static Join join(JsonNode one) {
        return new Join(
                each(one.path("columns"), Plan::column), text(one, "select"), each(one.path("sides"), Plan::of), one.path("lower_us").asLong(), one.path("upper_us").asLong(),
                each(one.path("alone"), JsonNode::asBoolean), each(one.path("keys"), Plan::names),
                each(one.path("from"), Plan::numbers),
                each(one.path("late"), late -> new Late(text(late, "name"), text(late, "type"), text(late, "left"), text(late, "right"))));
    }

    private static List<String> names(JsonNode many) {
        return each(many, JsonNode::asText);
    }

    private static int[] numbers(JsonNode many) {
        return each(many, JsonNode::asInt).stream().mapToInt(Integer::intValue).toArray();
    }

    private static Window window(JsonNode one) {
        return new Window(
                text(one, "kind"), each(one.path("keys"), JsonNode::asText), each(one.path("inputs"), JsonNode::asText), us(one, "size_us"), us(one, "slide_us"),
                one.path("offset_us").asLong(), us(one, "gap_us"), one.path("count").asLong(), us(one, "timeout_us"),
                text(one, "unit"), text(one, "timezone"), each(one.path("aggregates"), Plan::aggregate), text(one, "policy"),
                one.path("late_us").asLong(), text(one, "early"), us(one, "every_us"), one.path("fill").asBoolean(),
                "windows " + Integer.toHexString(one.toString().hashCode()));
    }

    private static Aggregate aggregate(JsonNode one) {
        Map<String, Object> arguments = new HashMap<>();
        one.path("arguments").properties().forEach(argument -> arguments.put(argument.getKey(), value(argument.getValue())));
        return new Aggregate(text(one, "name"), text(one, "function"), one.path("input").asInt(-1), text(one, "type"), arguments);
    }

    private static Object value(JsonNode one) {
        if (one.isArray()) {
            double[] edges = new double[one.size()];
            for (int place = 0; place < edges.length; place++) {
                edges[place] = one.get(place).asDouble();
            }
            return edges;
        }
        return one.isIntegralNumber() ? (Object) one.asLong() : (Object) one.asDouble();
    }

    private static String text(JsonNode one, String name) {
        return one.hasNonNull(name) ? one.get(name).asText() : null;
    }

    private static long us(JsonNode one, String name) {
        return one.hasNonNull(name) ? one.get(name).asLong() : Instants.UNKNOWN;
    }

    private static <T> List<T> each(JsonNode many, java.util.function.Function<JsonNode, T> read) {
        List<T> made = new ArrayList<>();
        many.forEach(one -> made.add(read.apply(one)));
        return made;
    }
}
