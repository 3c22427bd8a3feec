package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Windows behind the door, with results that can be counted on one hand. */
class WindowsTest {
    private static final String TUMBLING = "\"kind\": \"sliding\", \"size_us\": 10, \"slide_us\": 10, \"policy\": \"update\", \"late_us\": ";

    private static List<String> played(Plan plan, int restartBehind, long... times) throws Exception {
        try (Stage stage = new Stage(plan, 1)) {
            for (int place = 0; place < times.length; place++) {
                stage.take(Plans.event("one", place, "a", times[place], times[place]));
                if (place == restartBehind) {
                    stage.restart(2);
                }
            }
            stage.finish();
            Account account = stage.account();
            assertEquals(times.length, account.onTime + account.corrected + account.late);
            return stage.results.stream().map(Plans::shown).toList();
        }
    }

    @Test
    void aWindowClosesWhenTheWatermarkReachesItsEnd() throws Exception {
        // front 12 - 2 = 10 closes [0, 10); 9 is then late; the end closes [10, 20)
        Plan plan = Plans.of("\"one\"", TUMBLING + "0");
        assertEquals(List.of("0-10 n=2 sum=9.0 r0 final", "10-20 n=2 sum=27.0 r0 final"), played(plan, -1, 1, 8, 12, 9, 15));
    }

    /** How many of these events are on time, corrections and late. */
    private static String judged(Plan plan, long... times) throws Exception {
        try (Stage stage = new Stage(plan, 1)) {
            for (int place = 0; place < times.length; place++) {
                stage.take(Plans.event("one", place, "a", times[place], times[place]));
            }
            Account account = stage.account();
            assertEquals(account.late, stage.late.size());
            return account.onTime + " " + account.corrected + " " + account.late;
        }
    }

    @Test
    void anEventIsLateFromTheWindowsEndOnAndFromThereByTheLateness() throws Exception {
        // bound 2: 11 leaves the watermark at 9, 12 moves it to 10, 16 to 14, 17 to 15
        assertEquals("2 0 0", judged(Plans.of("\"one\"", TUMBLING + "0"), 11, 9));
        assertEquals("1 0 1", judged(Plans.of("\"one\"", TUMBLING + "0"), 12, 9));
        assertEquals("2 0 0", judged(Plans.of("\"one\"", TUMBLING + "5"), 11, 9));
        assertEquals("1 1 0", judged(Plans.of("\"one\"", TUMBLING + "5"), 12, 9));
        assertEquals("1 1 0", judged(Plans.of("\"one\"", TUMBLING + "5"), 16, 9));
        assertEquals("1 0 1", judged(Plans.of("\"one\"", TUMBLING + "5"), 17, 9));
        String session = "\"kind\": \"session\", \"gap_us\": 5, \"policy\": \"side\", \"late_us\": 0";
        assertEquals("2 0 0", judged(Plans.of("\"one\"", session), 11, 5));
        assertEquals("1 0 1", judged(Plans.of("\"one\"", session), 12, 5));
    }

    @Test
    void aggregatesPassOverNulls() throws Exception {
        try (Stage stage = new Stage(Plans.of("\"one\"", TUMBLING + "0"), 1)) {
            stage.take(Plans.event("one", 0, "a", 1L, 1));
            Event empty = Plans.event("one", 1, "a", 2L, 0);
            empty.values[2] = null;
            stage.take(empty);
            stage.finish();
            assertEquals(List.of("0-10 n=2 sum=1.0 r0 final"), stage.results.stream().map(Plans::shown).toList());
        }
    }

    @Test
    void aWindowWhoseFirstEventIsACorrectionComesOutAtOnce() throws Exception {
        Plan plan = Plans.of("\"one\"", TUMBLING + "5");
        List<String> wanted =
                List.of("0-10 n=1 sum=9.0 r0", "0-10 n=2 sum=17.0 r1", "0-10 n=2 sum=17.0 r1 final", "10-20 n=1 sum=12.0 r0 final");
        assertEquals(wanted, played(plan, -1, 12, 9, 8).stream().sorted().toList());
        assertEquals(wanted, played(plan, 0, 12, 9, 8).stream().sorted().toList(), "what the watermark had reached is known after a restart");
    }

    @Test
    void aCorrectionGivesARevisionAndTheClosingRowSaysFinal() throws Exception {
        Plan plan = Plans.of("\"one\"", TUMBLING + "5");
        List<String> wanted =
                List.of("0-10 n=1 sum=1.0 r0", "0-10 n=2 sum=10.0 r1", "0-10 n=2 sum=10.0 r1 final", "10-20 n=1 sum=12.0 r0 final");
        assertEquals(wanted, played(plan, -1, 1, 12, 9).stream().sorted().toList());
    }

    @Test
    void aRestartAtAnotherParallelismShowsNowhere() throws Exception {
        Plan plan = Plans.of("\"one\"", TUMBLING + "5");
        for (int place = 0; place < 3; place++) {
            assertEquals(played(plan, -1, 1, 12, 9).stream().sorted().toList(), played(plan, place, 1, 12, 9).stream().sorted().toList());
        }
    }

    @Test
    void aRowThatIsLateForItsFirstWindowCountsForTheNext() throws Exception {
        // 8 sets the watermark of its log to 6, behind which 4 is late for [-5, 5) and on time for [0, 10); where another log is silent
        // nothing has come out then, and 4 is late all the same
        String sliding = "\"kind\": \"sliding\", \"size_us\": 10, \"slide_us\": 5, \"policy\": \"side\", \"late_us\": 0";
        List<String> wanted = List.of("-5-5 n=1 sum=1.0 r0 final", "0-10 n=3 sum=13.0 r0 final", "5-15 n=1 sum=8.0 r0 final");
        for (String logs : List.of("\"one\"", "\"one\", \"two\"")) {
            for (int restart = -1; restart < 3; restart++) {
                assertEquals(wanted, played(Plans.of(logs, sliding), restart, 1, 8, 4).stream().sorted().toList());
            }
        }
    }

    @Test
    void anEventOneGapLaterJoinsTheSessionAndOneMoreDoesNot() throws Exception {
        Plan plan = Plans.of("\"one\"", "\"kind\": \"session\", \"gap_us\": 5, \"policy\": \"side\", \"late_us\": 0");
        assertEquals(List.of("0-10 n=2 sum=5.0 r0 final", "11-16 n=1 sum=11.0 r0 final"), played(plan, -1, 0, 5, 11));
        assertEquals(List.of("0-10 n=2 sum=5.0 r0 final"), played(plan, -1, 5, 0), "one gap earlier, too");
    }

    @Test
    void aSessionThatGrowsTakesItsOldRowBack() throws Exception {
        // 20 closes [0, 5) at 18; 4 joins it within the allowed lateness
        Plan plan = Plans.of("\"one\"", "\"kind\": \"session\", \"gap_us\": 5, \"policy\": \"update\", \"late_us\": 50");
        List<String> rows = played(plan, -1, 0, 20, 4);
        assertEquals(List.of("0-5 n=1 sum=0.0 r0", "0-5 n=1 sum=0.0 r0 retract", "0-9 n=2 sum=4.0 r1"), rows.subList(0, 3));
    }

    @Test
    void aCountWindowIsFullOrTimesOut() throws Exception {
        Plan plan = Plans.of("\"one\"", "\"kind\": \"count\", \"count\": 2, \"timeout_us\": 10, \"policy\": \"side\", \"late_us\": 0");
        // 1 and 3 are full; 20 times out at 30
        assertEquals(List.of("1-4 n=2 sum=4.0 r0 final", "20-30 n=1 sum=20.0 r0 final"), played(plan, -1, 1, 3, 20));
    }
}
