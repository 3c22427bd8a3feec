package eventide.flink;

import java.util.List;
import org.apache.flink.api.common.functions.Partitioner;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamStatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.data.RowData;
import org.apache.flink.types.Row;

/** A plan on Flink: tables, then the door, then windows, then tables again. Arguments: --plan and the plan's JSON in base64, --jar and the seal of the jar. */
public final class Job {
    private Job() {}

    public static void main(String[] arguments) throws Exception {
        Seal.check(arguments);
        Plan plan = Plan.ofArguments(arguments);
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.getExecutionEnvironment(Configuration.fromMap(plan.settings()));
        build(plan, environment);
        Uids.give(environment.getTransformations());
        environment.execute(plan.settings().getOrDefault("pipeline.name", "eventide"));
    }

    /** Puts the plan's operators and tables into an environment. */
    static void build(Plan plan, StreamExecutionEnvironment environment) {
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        tables.getConfig().set("table.local-time-zone", "UTC");
        int parallelism = environment.getParallelism();
        Front front = plan.join() == null ? front(plan, tables, parallelism, "door") : Joined.of(plan, tables, parallelism);
        SingleOutputStreamOperator<Row> results = plan.window() == null ? null : windows(plan, front.rows());
        show(plan, tables, front, results);
        write(plan, tables);
    }

    /** A plan's sources and the door behind them, which has a name of its own. */
    static Front front(Plan plan, StreamTableEnvironment tables, int parallelism, String name) {
        SingleOutputStreamOperator<Event> judged = door(plan, read(plan, tables, parallelism), parallelism, name);
        return new Front(judged, null, judged.getSideOutput(Door.DEAD));
    }

    /** True where windows judge rows, not the door. */
    static boolean judges(Plan plan) {
        return plan.window() != null && plan.join() == null && plan.window().kind().equals("session");
    }

    /** Late rows with the reason. */
    static DataStream<Row> late(Plan plan, SingleOutputStreamOperator<?> judge) {
        return judge.getSideOutput(Door.LATE).map(new Results.ToLate(plan), Results.late(plan).information()).name("late");
    }

    private static DataStream<Event> read(Plan plan, StreamTableEnvironment tables, int parallelism) {
        DataStream<Event> all = null;
        for (Plan.Source source : plan.sources()) {
            DataStream<Event> events = read(plan, source, tables, parallelism);
            all = all == null ? events : all.union(events);
        }
        return all;
    }

    private static DataStream<Event> read(Plan plan, Plan.Source source, StreamTableEnvironment tables, int parallelism) {
        tables.executeSql(source.ddl());
        DataStream<Pack> packs = rows(tables, tables.sqlQuery(source.query()))
                .transform("packs " + source.name(), PlainType.PACK, new Packer(source)).uid(source.intake() + " packs");
        boolean dealt = dealsPacks(plan, parallelism);
        DataStream<Pack> mine = dealt ? packs.partitionCustom(toDoor(plan), pack -> pack.log) : packs;
        SingleOutputStreamOperator<Event> records =
                mine.process(new Intake(source, source.select() != null), PlainType.events(plan)).name("intake " + source.name()).uid(source.intake());
        if (dealt) {
            records.setParallelism(doors(plan, parallelism));
        }
        if (source.select() == null) {
            return records;
        }
        DataStream<Event> refused = records.getSideOutput(Intake.REFUSED);
        Tables.Shape shape = Tables.intake(source.columns());
        DataStream<Row> typed = records.map(new Tables.ToRow(shape), shape.information()).name("columns " + source.name());
        tables.createTemporaryView(source.intake(), tables.fromDataStream(typed, shape.schema(List.of()).build()));
        DataStream<Event> selected = rows(tables, tables.sqlQuery(source.select()))
                .map(new Tables.ToEvent(plan.columns()), PlainType.events(plan)).name("events " + source.name());
        return selected.union(refused);
    }

    /** A table as a stream of rows without any conversion. */
    static DataStream<RowData> rows(StreamTableEnvironment tables, Table table) {
        return tables.toDataStream(table, table.getResolvedSchema().toSourceRowDataType().bridgedTo(RowData.class));
    }

    /** All rows of a log meet the same door. */
    private static SingleOutputStreamOperator<Event> door(Plan plan, DataStream<Event> events, int parallelism, String name) {
        boolean dealt = parallelism == 1 || dealsPacks(plan, parallelism);
        DataStream<Event> mine = dealt ? events : events.partitionCustom(toDoor(plan), event -> event.log);
        SingleOutputStreamOperator<Event> judged = mine.transform(name, PlainType.events(plan), new Door(plan)).uid(name);
        return parallelism == 1 ? judged : judged.setParallelism(doors(plan, parallelism));
    }

    private static Partitioner<String> toDoor(Plan plan) {
        List<String> logs = plan.logs();
        return (log, many) -> Door.of(log, logs, many);
    }

    /**
     * True when records are dealt out to doors as they stand and read there: that is much less to send. Where one door alone has all logs,
     * records are read where they come in, and where SQL lies in front of the door, it works as parallel as its sources.
     */
    static boolean dealsPacks(Plan plan, int parallelism) {
        boolean selects = plan.sources().stream().anyMatch(source -> source.select() != null);
        return parallelism > 1 && !isAlone(plan) && (!selects || doors(plan, parallelism) == parallelism);
    }

    /** How many doors there are. */
    static int doors(Plan plan, int parallelism) {
        if (plan.eventTime() == null) {
            return parallelism;
        }
        return isAlone(plan) ? 1 : Math.min(parallelism, plan.logs().size());
    }

    /** True for one door alone, where what closes a window depends on all logs together. */
    private static boolean isAlone(Plan plan) {
        if (plan.eventTime() == null) {
            return false;
        }
        boolean fills = plan.window() != null && plan.window().fill();
        return fills || !plan.namesAllLogs() || plan.closesByKey() || plan.eventTime().idleAfterUs() != Instants.UNKNOWN;
    }

    private static SingleOutputStreamOperator<Row> windows(Plan plan, SingleOutputStreamOperator<Event> judged) {
        String name = plan.window().kind() + " windows";
        if (Slicing.of(plan) == null) {
            return judged.keyBy(keyOf(plan), PlainType.KEY).transform(name, PlainType.RESULT, new WindowOperator(plan)).uid(plan.window().uid());
        }
        return judged.transform("slices", PlainType.slices(plan), new Slicer(plan)).setParallelism(judged.getParallelism())
                .keyBy(slice -> slice.key, PlainType.KEY)
                .transform(name, PlainType.RESULT, new SliceOperator(plan)).uid(plan.window().uid());
    }

    /** The key of a row behind the door; sessions belong to a log too. */
    static KeySelector<Event, Key> keyOf(Plan plan) {
        int keys = plan.window().keys().size();
        if (!plan.window().kind().equals("session")) {
            return event -> Key.of(event.values, keys);
        }
        if (plan.join() != null) { // a joined stream is one log
            return event -> {
                Object[] values = java.util.Arrays.copyOf(event.values, keys + 1);
                values[keys] = Joined.LOG;
                return new Key(values);
            };
        }
        int[] places = plan.places(plan.window().keys());
        return event -> {
            Object[] values = java.util.Arrays.copyOf(Narrow.of(event.values, places), keys + 1);
            values[keys] = event.log;
            return new Key(values);
        };
    }

    /** The named outputs as tables; `results` are those of windows, null where there are none. */
    private static void show(
            Plan plan, StreamTableEnvironment tables, Front front, SingleOutputStreamOperator<Row> results) {
        if (results == null) {
            Tables.Shape shape = Results.rows(plan);
            DataStream<Row> rows = front.rows().map(Results.ToShown.of(plan), shape.information()).name("results");
            tables.createTemporaryView("results", tables.fromDataStream(rows, shape.schema(List.of()).build()));
        } else {
            showResults(plan, tables, results);
        }
        boolean joined = plan.join() != null;
        DataStream<Row> late = joined ? front.late() : late(plan, judges(plan) ? results : front.rows());
        Tables.Shape shape = joined ? Joined.late(plan) : Results.late(plan);
        tables.createTemporaryView("late", tables.fromDataStream(late, shape.schema(List.of()).build()));
        Tables.Shape dead = Results.dead();
        tables.createTemporaryView("dead_letters", tables.fromDataStream(
                front.dead().map(new Results.ToDead(dead), dead.information()).name("dead letters"),
                dead.schema(List.of()).build()));
    }

    private static void showResults(Plan plan, StreamTableEnvironment tables, SingleOutputStreamOperator<Row> results) {
        for (Plan.Output output : plan.outputs()) {
            if (output.lines() != null) {
                Written written = new Written(plan, output.lines());
                DataStream<RowData> records = results.map(written, written.information()).name(output.lines().view());
                tables.createTemporaryView(output.lines().view(), tables.fromDataStream(records));
            }
        }
        Tables.Shape shape = Results.results(plan);
        if (plan.outputs().stream().anyMatch(output -> output.lines() == null)) {
            DataStream<Row> shown = results.map(Results.ToResult.of(shape, false), shape.information()).name("results");
            tables.createTemporaryView("results", tables.fromDataStream(shown, shape.schema(List.of()).build()));
        }
        if (!plan.identity().isEmpty()) {
            DataStream<Row> changes = results.map(Results.ToResult.of(shape, true), shape.information()).name("changes");
            Schema keyed = shape.schema(plan.identity()).primaryKey(plan.identity()).build();
            tables.createTemporaryView("changes", tables.fromChangelogStream(changes, keyed, ChangelogMode.upsert()));
        }
    }

    private static void write(Plan plan, StreamTableEnvironment tables) {
        StreamStatementSet statements = tables.createStatementSet();
        for (Plan.Output output : plan.outputs()) {
            tables.executeSql(output.ddl());
            statements.addInsertSql(output.insert());
        }
        statements.attachAsDataStream();
    }
}
