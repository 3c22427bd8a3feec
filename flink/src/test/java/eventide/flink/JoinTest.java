package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;

/** Rows of (key, at) on both sides, paired where the right one is 0 to 5 behind the left one; watermarks are fronts. */
class JoinTest {
    private static final String SIDE = """
            {"version": 4, "sources": [{"logs": [%s]}],
             "columns": [{"name": "key", "type": "string"}, {"name": "at", "type": "instant"}],
             "time": "at", "event_time": {"column": "at", "strategy": "ascending"}, "side": {"hands": ["key", "at"], "reach_us": 6}}
            """;
    private static final String PLAN = """
            {"version": 4,
             "columns": [{"name": "key", "type": "string"}, {"name": "at", "type": "instant"}, {"name": "at_right", "type": "instant"}],
             "join": {"columns": [{"name": "key"}, {"name": "at"}, {"name": "at_right"}], "sides": [%s, %s], "lower_us": 0, "upper_us": 5, "alone": [%s], "keys": [["key"], ["key"]],
                      "from": [[0, 1, -1], [0, -1, 1]]}, "window": %s}
            """;
    private static final String COUNTED = """
            {"kind": "sliding", "size_us": 10, "slide_us": 10, "policy": "side", "keys": ["key"], "inputs": ["at_right"],
             "aggregates": [{"name": "n", "function": "count", "type": "integer"},
                            {"name": "last", "function": "last", "input": 0, "type": "instant"}]}
            """;
    private static final String OF_ALL = """
            {"kind": "sliding", "size_us": 10, "slide_us": 10, "policy": "side", "keys": [], "inputs": ["at"],
             "aggregates": [{"name": "first", "function": "first", "input": 0, "type": "instant"},
                            {"name": "last", "function": "last", "input": 0, "type": "instant"}]}
            """;

    private static Plan plan(boolean left, boolean right, String window) throws Exception {
        String alone = left + ", " + right;
        String text = PLAN.formatted(SIDE.formatted("\"left\""), SIDE.formatted("\"right\", \"other\""), alone, window);
        return Plan.of(new ObjectMapper().readTree(text));
    }

    private static Event row(String log, long offset, String key, long at) {
        return new Event(Event.ROW, log, offset, Instants.UNKNOWN, new Object[] {key, at});
    }

    private static Event ended(String log) {
        return new Event(Event.FINISHED, log, 0, 0, new Object[0]);
    }

    private static String shown(Event joined) {
        return joined.values[0] + " " + joined.values[1] + " " + joined.values[2];
    }

    private static List<String> played(Plan plan, int restartBehind, List<Event> events) throws Exception {
        try (Stage stage = new Stage(plan, 1)) {
            for (int place = 0; place < events.size(); place++) {
                stage.take(events.get(place));
                if (place == restartBehind) {
                    stage.restart(2);
                }
            }
            stage.rest();
            assertEquals(0, stage.joined.waiting(), "when both sides have ended nothing waits");
            Stream<String> rows = plan.window() == null
                    ? stage.rows.stream().map(JoinTest::shown)
                    : stage.results.stream().map(row -> row.getField(0) + " " + row.getField(1) + " n=" + row.getField(3) + " " + row.getField(4));
            return rows.sorted().toList();
        }
    }

    private static final List<Event> BOTH = List.of(
            row("left", 0, "a", 10), row("right", 0, "a", 15), row("right", 1, "a", 16), row("right", 2, "b", 16),
            row("left", 1, "a", 16), row("right", 3, "c", 21), row("left", 2, "c", 16), row("left", 3, null, 20), row("other", 0, null, 20), ended("left"), ended("right"), ended("other"));

    @Test
    void bothBoundsBelongToTheIntervalAndANullKeyMatchesNothing() throws Exception {
        // 15 is 5 behind 10, and so is 21 behind 16, whoever comes first; 16 is one too far behind 10 and no distance from 16
        List<String> inner = List.of("a 10 15", "a 16 16", "c 16 21");
        for (int restart = -1; restart < 9; restart++) {
            assertEquals(inner, played(plan(false, false, "null"), restart, BOTH));
        }
    }

    @Test
    void whoFindsNoPartnerComesOutAloneWithTheKeyOfItsSide() throws Exception {
        List<String> outer = List.of("a 10 15", "a 16 16", "b null 16", "c 16 21", "null 20 null", "null null 20");
        List<String> left = List.of("a 10 15", "a 16 16", "c 16 21", "null 20 null");
        for (int restart = -1; restart < 9; restart++) {
            assertEquals(outer, played(plan(true, true, "null"), restart, BOTH));
            assertEquals(left, played(plan(true, false, "null"), restart, BOTH));
        }
    }

    @Test
    void aRowComesOutAloneWhenTheOtherSidesWatermarkIsPastItsLastPartner() throws Exception {
        try (Stage stage = new Stage(plan(true, false, "null"), 1)) {
            List<List<String>> seen = new ArrayList<>();
            // the left side stands at 10 all the time; the right one has two logs, and the slower one counts
            for (Event event : List.of(row("left", 0, "a", 10), row("other", 0, "z", 99), row("right", 0, "z", 15), row("right", 1, "z", 16))) {
                stage.take(event);
                stage.rest();
                seen.add(stage.rows.stream().map(JoinTest::shown).toList());
            }
            assertEquals(List.of(List.of(), List.of(), List.of(), List.of("a 10 null")), seen);
        }
    }

    @Test
    void aRowThatComesWhenTheOtherSideHasEndedGoesAtOnce() throws Exception {
        try (Stage stage = new Stage(plan(true, true, "null"), 1)) {
            for (Event event : List.of(row("left", 0, "a", 10), ended("left"), row("right", 0, "a", 12), row("right", 1, "b", 13))) {
                stage.take(event);
            }
            assertEquals(List.of("a 10 12", "b null 13"), stage.rows.stream().map(JoinTest::shown).sorted().toList());
            assertEquals(1, stage.joined.waiting(), "the left row alone waits for more of the right side");
        }
    }

    @Test
    void aRowBehindItsOwnWatermarkIsLateAndPairsWithNothing() throws Exception {
        try (Stage stage = new Stage(plan(false, false, "null"), 1)) {
            for (Event event : List.of(row("right", 0, "a", 10), row("left", 0, "a", 11), row("left", 1, "a", 9))) {
                stage.take(event);
            }
            assertTrue(stage.rows.isEmpty());
            assertEquals(List.of("left 1"), stage.late.stream().map(one -> one.log + " " + one.offset).toList());
        }
    }

    @Test
    void rowsOfOneTimeStandInTheOrderOfTheirLeftRowsWhateverComesFirst() throws Exception {
        // both pairs have the time 15; that of b is made first, but its left row stands behind that of a
        try (Stage stage = new Stage(plan(false, false, OF_ALL), 2)) {
            for (Event event : List.of(
                    row("left", 0, "a", 10), row("left", 1, "b", 11), row("right", 0, "b", 15), row("right", 1, "a", 15),
                    ended("left"), ended("right"), ended("other"))) {
                stage.take(event);
            }
            assertEquals(List.of("10 11"), stage.results.stream().map(row -> row.getField(2) + " " + row.getField(3)).toList());
        }
    }

    @Test
    void windowsCountJoinedRowsByTheLaterTime() throws Exception {
        // a: (10, 15), (10, 15 of the log "other", which sorts first) and the lone right row at 16; b: alone at 16
        List<Event> events = List.of(
                row("left", 0, "a", 10), row("right", 0, "a", 15), row("other", 0, "a", 15), row("right", 1, "a", 16), row("right", 2, "b", 16),
                ended("left"), ended("right"), ended("other"));
        for (int restart = -1; restart < 5; restart++) {
            assertEquals(List.of("a 10 n=3 16", "b 10 n=1 16"), played(plan(true, true, COUNTED), restart, events));
        }
    }

    @Test
    void aWindowWaitsForRowsThatMayStillComeOutAlone() throws Exception {
        try (Stage stage = new Stage(plan(true, false, COUNTED), 1)) {
            List<Integer> closed = new ArrayList<>();
            // left 8 may be alone until the right side is past 13; a window closes one behind the joined watermark
            long[][] moves = {{0, 8}, {0, 40}, {1, 15}, {1, 16}};
            stage.take(row("other", 0, "z", 99));
            for (long[] move : moves) {
                stage.take(row(move[0] == 0 ? "left" : "right", closed.size(), move[0] == 0 ? "a" : "z", move[1]));
                stage.rest();
                closed.add(stage.results.size());
            }
            assertEquals(List.of(0, 0, 0, 1), closed);
        }
    }

    @Test
    void placesSortAsLogsAndOffsetsDo() {
        List<String> sorted = Stream.of(row("ab", 0, "k", 0), row("a", 11, "k", 0), row("a", 2, "k", 0))
                .map(JoinOperator::placeOf).sorted(Values::compareTexts).toList();
        assertEquals(List.of(JoinOperator.placeOf(row("a", 2, "k", 0)), JoinOperator.placeOf(row("a", 11, "k", 0)),
                JoinOperator.placeOf(row("ab", 0, "k", 0))), sorted);
        assertTrue(Values.compareTexts(JoinOperator.placeOf(null), sorted.get(0)) < 0);
    }
}
