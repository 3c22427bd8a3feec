package eventide.flink;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Rows as JSON text, for dead letters. */
final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    /** A row as it came to the door. */
    static String row(Plan plan, Object[] values) {
        ObjectNode tree = MAPPER.createObjectNode();
        for (Plan.Shown one : plan.late()) {
            int place = plan.place(one.from());
            tree.set(one.name(), MAPPER.valueToTree(shown(plan.columns().get(place), values[place])));
        }
        return tree.toString();
    }

    private static Object shown(Plan.Column column, Object value) {
        return value instanceof Long at && column.type().equals("instant") ? Times.text(at) : value;
    }
}
