package eventide.flink;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.types.Row;

/** Plans and events for tests: rows of (key, at, x), counted and summed. */
final class Plans {
    private static final String PLAN = """
            {"version": 4, "sources": [{"logs": [%s]}],
             "columns": [{"name": "key", "type": "string"}, {"name": "at", "type": "instant"}, {"name": "x", "type": "float"}],
             "time": "at", "event_time": {"column": "at", "strategy": "bounded", "delay_us": 2%s},
             "window": {"keys": ["key"], "inputs": ["x"], %s,
                        "aggregates": [{"name": "n", "function": "count", "type": "integer"},
                                       {"name": "sum", "function": "sum", "input": 0, "type": "float"}]}}
            """;

    private Plans() {}

    static Plan of(String logs, String window) throws Exception {
        return of(logs, window, "");
    }

    static Plan of(String logs, String window, String eventTime) throws Exception {
        return Plan.of(new ObjectMapper().readTree(PLAN.formatted(logs, eventTime, window)));
    }

    static Event event(String log, long offset, String key, Long at, double x) {
        return new Event(Event.ROW, log, offset, Instants.UNKNOWN, new Object[] {key, at, x});
    }

    /** start, end, n, sum, revision and final of a result. */
    static String shown(Row row) {
        return row.getField(1) + "-" + row.getField(2) + " n=" + row.getField(3) + " sum=" + row.getField(4) + " r" + row.getField(5)
                + (Boolean.TRUE.equals(row.getField(6)) ? " final" : "") + ("retract".equals(row.getField(8)) ? " retract" : "");
    }
}
