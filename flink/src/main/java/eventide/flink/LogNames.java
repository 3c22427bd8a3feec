package eventide.flink;

import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.data.StringData;

/** The names of logs, each made once: those of files as the plan has them, those of partitions with their number. */
final class LogNames implements Serializable {
    /** Stands for the partition of what has none. */
    static final int WHOLE = -1;

    private final Plan.Source source;
    private final Map<String, Map<Integer, String>> made = new HashMap<>();
    private transient StringData found;
    private transient int partition;
    private transient String name;

    LogNames(Plan.Source source) {
        this.source = source;
    }

    String of(StringData place, int number) {
        if (name == null || number != partition || !place.equals(found)) {
            name = made.computeIfAbsent(place.toString(), absent -> new HashMap<>())
                    .computeIfAbsent(number, absent -> number == WHOLE ? source.log(place.toString()) : place + "/" + number);
            partition = number;
            found = StringData.fromString(place.toString());
        }
        return name;
    }
}
