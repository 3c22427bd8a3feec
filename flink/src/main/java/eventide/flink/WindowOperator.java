package eventide.flink;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/** The windows of all keys. Rows come judged by the door; timers are in microseconds, because the door's watermark is. */
final class WindowOperator extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<Event, Row>, Triggerable<Key, VoidNamespace>, Windows.Outlet {
    private final Plan.Window window;
    private final Windows windows;
    private final boolean judges;
    /** Where the inputs of the aggregates stand in a row from the door. */
    private final int[] inputs;

    private transient InternalTimerService<VoidNamespace> timers;
    private transient ValueState<KeyState> states;
    private transient ListState<byte[]> savedAccount;
    private transient ListState<Long> savedReached;
    /** What became of the rows of each log that this operator judged: those of sessions. */
    private transient Map<String, Account> accounts;
    private transient Counters counters;
    /** What the watermark had reached before a restart: Flink itself begins anew. */
    private transient long restored;

    WindowOperator(Plan plan) {
        this.window = plan.window();
        this.windows = Windows.of(window);
        this.judges = Job.judges(plan);
        int keys = window.keys().size();
        this.inputs = judges
                ? plan.places(window.inputs())
                : java.util.stream.IntStream.range(keys, keys + window.inputs().size()).toArray();
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        savedAccount = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("account", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        accounts = new ConcurrentHashMap<>();
        for (byte[] bytes : savedAccount.get()) {
            DataInputDeserializer in = new DataInputDeserializer(bytes);
            String log = in.readUTF();
            Account part = new Account();
            part.read(in);
            accountOf(log).add(part);
        }
        savedReached = context.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("reached", Types.LONG));
        restored = Instants.END_OF_TIME;
        for (long reached : savedReached.get()) {
            restored = Math.min(restored, reached);
        }
        restored = restored == Instants.END_OF_TIME ? Instants.NO_WATERMARK : restored;
    }

    @Override
    public void open() throws Exception {
        super.open();
        states = getPartitionedState(new ValueStateDescriptor<>("windows", new KeyState.Serializer(window.aggregates())));
        timers = getInternalTimerService("windows", VoidNamespaceSerializer.INSTANCE, this);
        if (judges) {
            for (String name : List.of("on_time", "corrected", "late")) {
                getMetricGroup().gauge(name, () -> account().named().get(name));
            }
        }
        counters = new Counters(getRuntimeContext());
    }

    /** What became of the rows that this operator judged, of all logs. */
    Account account() {
        Account total = new Account();
        accounts.values().forEach(total::add);
        return total;
    }

    private Account accountOf(String log) {
        return accounts.computeIfAbsent(log, missing -> new Account());
    }

    @Override
    public void processElement(StreamRecord<Event> record) throws Exception {
        Event event = record.getValue();
        Key key = (Key) getCurrentKey();
        KeyState state = states.value();
        if (state == null) {
            state = new KeyState();
        }
        reach(state, key, event.closed);
        Object[] whole = event.values;
        event.values = Narrow.of(whole, inputs);
        Windows.Verdict verdict = windows.add(state, key, event, closing(state), this);
        if (judges) {
            accountOf(event.log).count(verdict);
            if (verdict == Windows.Verdict.LATE && !"drop".equals(window.policy())) {
                event.values = whole;
                output.collect(Door.LATE, new StreamRecord<>(event));
            }
        }
        reach(state, key, event.closing);
        keep(state);
    }

    /** The key's own clock has come so far. */
    private void reach(KeyState state, Key key, long closing) {
        if (closing > state.closing) {
            state.closing = closing;
            windows.due(state, key, closing(state), this);
        }
    }

    private long closing(KeyState state) {
        return Math.max(state.closing, reached());
    }

    private long reached() {
        return Math.max(restored, Instants.fromFlink(timers.currentWatermark()));
    }

    private void keep(KeyState state) throws Exception {
        if (state.isEmpty()) {
            states.clear();
        } else {
            states.update(state);
        }
    }

    @Override
    public void onEventTime(InternalTimer<Key, VoidNamespace> timer) throws Exception {
        KeyState state = states.value();
        if (state != null) {
            windows.due(state, timer.getKey(), closing(state), this);
            keep(state);
        }
    }

    @Override
    public void onProcessingTime(InternalTimer<Key, VoidNamespace> timer) {
        throw new IllegalStateException("windows set no timers by the clock on the wall");
    }

    @Override
    public void emit(Content content, Key key, Windows.Mark mark, String log, Long number) {
        output.collect(new StreamRecord<>(Windows.row(window, content, key, mark, log, number)));
        if (!mark.repeats()) {
            content.next++;
            content.out = true;
        }
    }

    @Override
    public void wake(long instant) {
        timers.registerEventTimeTimer(VoidNamespace.INSTANCE, Instants.toFlink(instant));
    }

    @Override
    public void finish() throws Exception {
        accounts.forEach(counters::tell);
        super.finish();
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        savedAccount.clear();
        for (Map.Entry<String, Account> one : accounts.entrySet()) {
            DataOutputSerializer out = new DataOutputSerializer(128);
            out.writeUTF(one.getKey());
            one.getValue().write(out);
            savedAccount.add(out.getCopyOfBuffer());
        }
        accounts.forEach(counters::tell);
        savedReached.update(List.of(reached()));
    }
}
