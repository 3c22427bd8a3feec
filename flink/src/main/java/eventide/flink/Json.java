package eventide.flink;

import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Rows as JSON text, for dead letters. */
final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    static String row(List<Plan.Column> columns, Object[] values) {
        ObjectNode tree = MAPPER.createObjectNode();
        for (int place = 0; place < columns.size(); place++) {
            if (!columns.get(place).name().startsWith("_")) {
                tree.set(columns.get(place).name(), MAPPER.valueToTree(shown(columns.get(place), values[place])));
            }
        }
        return tree.toString();
    }

    private static Object shown(Plan.Column column, Object value) {
        return value instanceof Long at && column.type().equals("instant") ? Times.text(at) : value;
    }
}
