package eventide.flink;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.json.JsonWriteFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.json.JsonMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.types.Row;

/**
 * Cases as lines of JSON, each answered with what the real operators gave.
 *
 * <p>A case is {plan, entries, parallelism, restarts}; an entry is ["event", log, offset, arrival, values], ["heartbeat", log, watermark],
 * ["idle", log] or ["finished", log]; a restart is [after which entry, at which parallelism].
 */
public final class Play {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .configure(JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS, true)
            .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
            .build();

    private Play() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(JSON.readTree(line)));
        }
    }

    static String answer(JsonNode wanted) {
        try {
            return played(wanted).toString();
        } catch (Exception fault) {
            java.io.StringWriter trace = new java.io.StringWriter();
            fault.printStackTrace(new java.io.PrintWriter(trace));
            return JSON.createObjectNode().put("fault", trace.toString()).toString();
        }
    }

    private static ObjectNode played(JsonNode wanted) throws Exception {
        Plan plan = Plan.of(wanted.get("plan"));
        JsonNode restarts = wanted.path("restarts");
        ObjectNode answer = JSON.createObjectNode();
        try (Stage stage = new Stage(plan, wanted.path("parallelism").asInt(1))) {
            Set<String> open = new HashSet<>(plan.logs());
            if (plan.join() != null) {
                plan.join().sides().forEach(side -> open.addAll(side.logs()));
            }
            int number = 0;
            for (JsonNode entry : wanted.get("entries")) {
                if (entry.get(0).asText().equals("finished")) {
                    open.remove(entry.get(1).asText());
                }
                stage.take(event(plan, entry));
                if (entry.get(0).asText().equals("finished") && open.isEmpty()) {
                    stage.finish();
                }
                for (JsonNode restart : restarts) {
                    if (restart.get(0).asInt() == number) {
                        stage.restart(restart.get(1).asInt());
                    }
                }
                number++;
            }
            stage.rest();
            answer.set("results", plan.window() == null ? rows(plan, stage.rows) : results(plan, stage.results));
            answer.set("late", events(stage.late));
            answer.set("dead_letters", events(stage.dead));
            answer.set("accounting", JSON.valueToTree(stage.account().named()));
        }
        return answer;
    }

    private static Event event(Plan whole, JsonNode entry) {
        String log = entry.get(1).asText();
        Plan plan = whole.join() == null
                ? whole
                : whole.join().sides().stream().filter(side -> side.logs().contains(log)).findFirst().orElseThrow();
        switch (entry.get(0).asText()) {
            case "event" -> {
                JsonNode given = entry.get(4);
                Object[] values = new Object[plan.columns().size()];
                for (int place = 0; place < values.length; place++) {
                    values[place] = value(plan.columns().get(place).type(), given.get(place));
                }
                long arrival = entry.get(3).isNull() ? Instants.UNKNOWN : entry.get(3).asLong();
                return new Event(Event.ROW, log, entry.get(2).asLong(), arrival, values);
            }
            case "heartbeat" -> {
                Event event = new Event(Event.HEARTBEAT, log, 0, 0, new Object[0]);
                event.time = entry.get(2).asLong();
                return event;
            }
            case "idle" -> {
                return new Event(Event.IDLE, log, 0, 0, new Object[0]);
            }
            case "finished" -> {
                return new Event(Event.FINISHED, log, 0, 0, new Object[0]);
            }
            default -> throw new IllegalArgumentException("an entry of the unknown kind " + entry.get(0));
        }
    }

    private static Object value(String type, JsonNode given) {
        if (given.isNull()) {
            return null;
        }
        return switch (type) {
            case "integer", "instant" -> (Object) given.asLong();
            case "float" -> given.asDouble();
            case "boolean" -> given.asBoolean();
            default -> given.asText();
        };
    }

    private static ArrayNode results(Plan plan, List<Row> rows) {
        List<String> names = Results.results(plan).names();
        ArrayNode all = JSON.createArrayNode();
        for (Row row : rows) {
            ObjectNode one = all.addObject();
            for (int place = 0; place < names.size(); place++) {
                one.set(names.get(place), shown(row.getField(place)));
            }
        }
        return all;
    }

    private static ArrayNode rows(Plan plan, List<Event> rows) {
        ArrayNode all = JSON.createArrayNode();
        for (Event row : rows) {
            ObjectNode one = all.addObject();
            for (int place = 0; place < row.values.length; place++) {
                one.set(plan.columns().get(place).name(), shown(row.values[place]));
            }
        }
        return all;
    }

    private static JsonNode shown(Object value) {
        if (value instanceof Row row) {
            ObjectNode pair = JSON.createObjectNode();
            pair.set("value", shown(row.getField(0)));
            pair.set("count", shown(row.getField(1)));
            return pair;
        }
        if (value instanceof Object[] many) {
            ArrayNode list = JSON.createArrayNode();
            for (Object one : many) {
                list.add(shown(one));
            }
            return list;
        }
        return JSON.valueToTree(value);
    }

    private static ArrayNode events(List<Event> events) {
        ArrayNode all = JSON.createArrayNode();
        for (Event event : events) {
            ObjectNode one = all.addObject().put("log", event.log).put("offset", event.offset).put("watermark", event.before);
            if (event.kind == Event.REFUSED) {
                one.put("reason", (String) event.values[Refused.REASON]);
            }
        }
        return all;
    }
}
