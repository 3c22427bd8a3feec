package eventide.flink;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** How many events were received, and what became of them. Law: received = the sum of all others, at every moment between two events. */
final class Account {
    long received;
    long onTime;
    long corrected;
    long late;
    long filtered;
    long deadLetters;

    void count(Windows.Verdict verdict) {
        switch (verdict) {
            case ON_TIME -> onTime++;
            case CORRECTED -> corrected++;
            case LATE -> late++;
        }
    }

    void add(Account other) {
        received += other.received;
        onTime += other.onTime;
        corrected += other.corrected;
        late += other.late;
        filtered += other.filtered;
        deadLetters += other.deadLetters;
    }

    /** The numbers by the names that the embedded engine gives them. */
    Map<String, Long> named() {
        Map<String, Long> named = new LinkedHashMap<>();
        named.put("received", received);
        named.put("on_time", onTime);
        named.put("corrected", corrected);
        named.put("late", late);
        named.put("filtered", filtered);
        named.put("dead_letters", deadLetters);
        return named;
    }

    void write(DataOutputView out) throws IOException {
        for (long number : named().values()) {
            out.writeLong(number);
        }
    }

    void read(DataInputView in) throws IOException {
        received = in.readLong();
        onTime = in.readLong();
        corrected = in.readLong();
        late = in.readLong();
        filtered = in.readLong();
        deadLetters = in.readLong();
    }
}
