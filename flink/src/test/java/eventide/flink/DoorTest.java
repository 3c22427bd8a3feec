package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

/** The door alone: whose watermark judges a row, and what the windows are told. */
class DoorTest {
    private static final String TUMBLING = "\"kind\": \"sliding\", \"size_us\": 10, \"slide_us\": 10, \"policy\": \"side\", \"late_us\": 0";

    private static final String IDLE = ", \"idle_after_us\": 1000000";

    private static OneInputStreamOperatorTestHarness<Event, Event> door(Plan plan) throws Exception {
        var harness = new OneInputStreamOperatorTestHarness<Event, Event>(new Door(plan), 16, 1, 0);
        harness.setup(EventSerializer.INSTANCE);
        return harness;
    }

    private static List<Long> marks(OneInputStreamOperatorTestHarness<Event, Event> harness) {
        return harness.getOutput().stream().filter(Watermark.class::isInstance).map(one -> ((Watermark) one).getTimestamp()).toList();
    }

    @Test
    void aRowIsJudgedByTheRowsBeforeItInItsOwnLog() throws Exception {
        try (var harness = door(Plans.of("\"one\", \"two\"", TUMBLING))) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 50L, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", 1L, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", 1L, 1)));
            List<Event> late = harness.getSideOutput(Door.LATE).stream().map(StreamRecord::getValue).toList();
            assertEquals(List.of("one 1 48"), late.stream().map(one -> one.log + " " + one.offset + " " + one.before).toList());
        }
    }

    @Test
    void theWatermarkIsThatOfTheSlowestLogAndWaitsForAllThatAreKnown() throws Exception {
        try (var harness = door(Plans.of("\"one\", \"two\"", TUMBLING))) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 50L, 1)));
            assertEquals(List.of(), marks(harness));
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", 32L, 1)));
            assertEquals(List.of(29L), marks(harness)); // 32 - 2 = 30, exclusive: Flink's 29
        }
    }

    @Test
    void theWatermarkIsToldOnlyWhereAWindowMayBeDue() throws Exception {
        try (var harness = door(Plans.of("\"one\"", TUMBLING))) {
            harness.open();
            for (long time : new long[] {3, 5, 7, 11, 12, 13}) {
                harness.processElement(new StreamRecord<>(Plans.event("one", time, "a", time, 1)));
            }
            assertEquals(List.of(0L, 9L), marks(harness));
        }
    }

    @Test
    void aDoorThatWasRestoredTellsItsWatermarkThoughNothingComes() throws Exception {
        Plan plan = Plans.of("\"one\"", TUMBLING);
        OperatorSubtaskState saved;
        try (var harness = door(plan)) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 32L, 1)));
            saved = harness.snapshot(1, 1);
        }
        try (var harness = door(plan)) {
            harness.initializeState(saved);
            harness.open();
            assertEquals(List.of(), marks(harness));
            harness.setProcessingTime(Door.WAIT_MS);
            assertEquals(List.of(29L), marks(harness));
        }
    }

    @Test
    void aDoorWhoseLogsWereAheadOfTheOthersGoesOnFromItsOwn() throws Exception {
        Plan plan = Plans.of("\"one\", \"two\"", TUMBLING);
        OperatorSubtaskState saved;
        try (var harness = door(plan)) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 52L, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", 32L, 1)));
            saved = harness.snapshot(1, 1);
        }
        try (var harness = new OneInputStreamOperatorTestHarness<Event, Event>(new Door(plan), 16, 2, 0)) {
            harness.setup(EventSerializer.INSTANCE);
            harness.initializeState(AbstractStreamOperatorTestHarness.repartitionOperatorState(saved, 16, 1, 2, 0));
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", 62L, 1)));
            assertEquals(List.of(59L), marks(harness));
        }
    }

    @Test
    void windowsThatComeOutOnceHearOfTheWatermarkALittleLater() throws Exception {
        String sessions = "\"kind\": \"session\", \"gap_us\": 10, \"policy\": \"side\", \"late_us\": 0";
        try (var harness = door(Plans.of("\"one\"", sessions))) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 32L, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", 42L, 1)));
            assertEquals(List.of(), marks(harness));
            harness.setProcessingTime(Door.WAIT_MS);
            assertEquals(List.of(39L), marks(harness));
            harness.processElement(new StreamRecord<>(Plans.event("one", 2, "a", 52L, 1)));
            harness.prepareSnapshotPreBarrier(1);
            assertEquals(List.of(39L, 49L), marks(harness));
        }
        try (var harness = door(Plans.of("\"one\"", sessions.replace("\"late_us\": 0", "\"late_us\": 5")))) {
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 32L, 1)));
            assertEquals(List.of(29L), marks(harness), "with lateness each step counts");
        }
    }

    @Test
    void guardsRefuseWhatLiesBeyondABoundAndNotWhatLiesOnIt() throws Exception {
        try (var harness = door(Plans.of("\"one\"", TUMBLING, ", \"max_future_us\": 5, \"max_age_us\": 20"))) {
            harness.open();
            Long[] times = {1_005L, 1_006L, 980L, 979L, Instants.EARLIEST - 1, Instants.END_OF_TIME};
            for (int place = 0; place < times.length; place++) {
                Event event = Plans.event("one", place, "a", times[place], 1);
                event.arrival = 1_000;
                harness.processElement(new StreamRecord<>(event));
            }
            List<String> refused = harness.getSideOutput(Door.DEAD).stream()
                    .map(one -> one.getValue().offset + " " + one.getValue().values[Refused.REASON]).toList();
            assertEquals(
                    List.of("1 event time is too far in the future", "3 event time is too old", "4 event time is out of range", "5 event time is out of range"),
                    refused);
        }
    }

    @Test
    void aGuardRefusesARowBeforeItTouchesTheClock() throws Exception {
        try (var harness = door(Plans.of("\"one\"", TUMBLING, ", \"max_future_us\": 5"))) {
            harness.open();
            Event ahead = Plans.event("one", 0, "a", 100L, 1);
            ahead.arrival = 10;
            harness.processElement(new StreamRecord<>(ahead));
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", null, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("one", 2, "a", 1L, 1)));
            List<Object> reasons =
                    harness.getSideOutput(Door.DEAD).stream().map(one -> one.getValue().values[Refused.REASON]).toList();
            assertEquals(List.of("event time is too far in the future", "event time is missing"), reasons);
            assertEquals(1, harness.extractOutputValues().size());
        }
    }

    /** The door looks for silence every quarter of the time that it takes. */
    private static void wait(OneInputStreamOperatorTestHarness<Event, Event> harness, long untilMs) throws Exception {
        while (harness.getProcessingTime() < untilMs) {
            harness.setProcessingTime(harness.getProcessingTime() + 250);
        }
    }

    @Test
    void windowsCloseWhileAllLogsAreSilentIfThePlanSaysSo() throws Exception {
        try (var harness = door(Plans.of("\"one\", \"two\"", TUMBLING, IDLE + ", \"close_when_idle\": true"))) {
            harness.setProcessingTime(0);
            harness.open();
            wait(harness, 2_000);
            assertEquals(List.of(), marks(harness), "there is no window to close");
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 12L, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", 35L, 1)));
            wait(harness, 2_750);
            assertEquals(List.of(9L), marks(harness), "nothing is silent yet");
            wait(harness, 3_000);
            assertEquals(List.of(9L, 44L), marks(harness), "35 and a window's length");
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", 39L, 1)));
            assertEquals(45, harness.getSideOutput(Door.LATE).peek().getValue().before);
            harness.processElement(new StreamRecord<>(Plans.event("one", 2, "a", 41L, 1)));
            assertEquals(1, harness.getSideOutput(Door.LATE).size(), "its window is still open");
        }
    }

    @Test
    void windowsWaitWhileAllLogsAreSilentIfThePlanDoesNotSayMore() throws Exception {
        try (var harness = door(Plans.of("\"one\"", TUMBLING, IDLE))) {
            harness.setProcessingTime(0);
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 12L, 1)));
            wait(harness, 5_000);
            assertEquals(List.of(9L), marks(harness));
        }
    }

    @Test
    void aDayThatClosedInASilenceIsFollowedByTheNext() throws Exception {
        long day = 86_400_000_000L;
        String calendar = "\"kind\": \"calendar\", \"unit\": \"1d\", \"timezone\": \"UTC\", \"policy\": \"side\", \"late_us\": 0";
        try (var harness = door(Plans.of("\"one\"", calendar, IDLE + ", \"close_when_idle\": true"))) {
            harness.setProcessingTime(0);
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 12L, 1)));
            wait(harness, 2_000);
            assertEquals(day - 1, marks(harness).get(marks(harness).size() - 1));
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", day, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("one", 2, "a", day - 1, 1)));
            assertEquals(List.of(2L), harness.getSideOutput(Door.LATE).stream().map(one -> one.getValue().offset).toList());
        }
    }

    @Test
    void aSilentLogIsLeftOutAndComesBackAtTheStreamWatermark() throws Exception {
        try (var harness = door(Plans.of("\"one\", \"two\"", TUMBLING, ", \"idle_after_us\": 1000000"))) {
            harness.setProcessingTime(0);
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", 12L, 1)));
            harness.setProcessingTime(900);
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 52L, 1)));
            harness.setProcessingTime(1250);
            assertEquals(49L, marks(harness).get(marks(harness).size() - 1));
            harness.processElement(new StreamRecord<>(Plans.event("two", 1, "a", 20L, 1)));
            assertEquals(50, harness.getSideOutput(Door.LATE).peek().getValue().before);
        }
    }

    @Test
    void whatIsRefusedEndsNoSilenceAndANewLogIsNotSilentAtOnce() throws Exception {
        try (var harness = door(Plans.of("\"one\"", TUMBLING, ", \"idle_after_us\": 1000000"))) {
            harness.setProcessingTime(1_000_000);
            harness.open();
            harness.processElement(new StreamRecord<>(Plans.event("two", 0, "a", null, 1)));
            harness.setProcessingTime(1_000_300);
            harness.processElement(new StreamRecord<>(Plans.event("one", 0, "a", 32L, 1)));
            assertEquals(List.of(), marks(harness)); // nobody knows yet how far the other one is
            harness.processElement(new StreamRecord<>(Plans.event("two", 1, "a", null, 1)));
            harness.setProcessingTime(1_000_900);
            harness.setProcessingTime(1_001_200);
            harness.processElement(new StreamRecord<>(Plans.event("two", 2, "a", null, 1)));
            harness.processElement(new StreamRecord<>(Plans.event("one", 1, "a", 52L, 1)));
            assertEquals(49L, marks(harness).get(marks(harness).size() - 1));
        }
    }
}
