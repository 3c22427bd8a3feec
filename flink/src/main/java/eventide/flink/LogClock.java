package eventide.flink;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.types.StringValue;

/** What is known of one log: its front, its watermark, the clocks of its keys, and how many of its events became what. */
final class LogClock {
    /** The front and the watermark of a key. */
    static final class OfKey {
        long front = Instants.NO_WATERMARK;
        long watermark = Instants.NO_WATERMARK;
    }

    final String log;
    long front = Instants.NO_WATERMARK;
    long watermark = Instants.NO_WATERMARK;
    boolean idle;
    boolean finished;
    final Map<Object, OfKey> keys = new HashMap<>();
    final Account account = new Account();
    /** Only where the bound is learnt. */
    Learner learner;
    /** When the last event came, by the clock on the wall; not kept over a restart. */
    long seenMs;

    LogClock(String log) {
        this.log = log;
    }

    long reached() {
        return finished ? Instants.END_OF_TIME : watermark;
    }

    boolean isAlive() {
        return !finished && !idle;
    }

    /** The watermark of a key in this log. */
    long ofKey(Object key) {
        OfKey clock = keys.get(key);
        return clock == null ? watermark : Math.max(clock.watermark, watermark);
    }

    byte[] toBytes() throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        StringValue.writeString(log, out);
        out.writeLong(front);
        out.writeLong(watermark);
        out.writeByte((idle ? 1 : 0) | (finished ? 2 : 0));
        account.write(out);
        out.writeInt(keys.size());
        for (Map.Entry<Object, OfKey> one : keys.entrySet()) {
            Values.write(one.getKey(), out);
            out.writeLong(one.getValue().front);
            out.writeLong(one.getValue().watermark);
        }
        out.writeBoolean(learner != null);
        if (learner != null) {
            learner.write(out);
        }
        return out.getCopyOfBuffer();
    }

    static LogClock of(byte[] bytes, Plan.EventTime settings) throws IOException {
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        LogClock clock = new LogClock(StringValue.readString(in));
        clock.front = in.readLong();
        clock.watermark = in.readLong();
        int marks = in.readByte();
        clock.idle = (marks & 1) != 0;
        clock.finished = (marks & 2) != 0;
        clock.account.read(in);
        for (int size = in.readInt(); size > 0; size--) {
            Object key = Values.read(in);
            OfKey of = new OfKey();
            of.front = in.readLong();
            of.watermark = in.readLong();
            clock.keys.put(key, of);
        }
        if (in.readBoolean()) {
            clock.learner = new Learner(settings);
            clock.learner.read(in);
        }
        return clock;
    }
}
