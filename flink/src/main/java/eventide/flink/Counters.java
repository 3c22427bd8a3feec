package eventide.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.accumulators.LongMinimum;
import org.apache.flink.api.common.functions.RuntimeContext;

/**
 * Accounts as accumulators, which the cluster still tells when a task has ended; gauges end with it.
 *
 * <p>Law: a number that is told is kept in the state of whoever tells it, because Flink forgets accumulators on a restart.
 */
final class Counters {
    private static final String ACCOUNT = "eventide.account|";
    private static final String WATERMARK = "eventide.watermark_us";

    private final RuntimeContext context;
    private final Map<String, LongCounter> told = new HashMap<>();
    private LongMinimum watermark;

    Counters(RuntimeContext context) {
        this.context = context;
    }

    void tell(String log, Account account) {
        account.named().forEach((name, number) -> {
            LongCounter counter = told.computeIfAbsent(ACCOUNT + log + "|" + name, this::added);
            counter.add(number - counter.getLocalValuePrimitive());
        });
    }

    void tell(long watermarkUs) {
        if (watermark == null) {
            watermark = new LongMinimum();
            context.addAccumulator(WATERMARK, watermark);
        }
        watermark.resetLocal();
        watermark.add(watermarkUs);
    }

    private LongCounter added(String name) {
        LongCounter made = new LongCounter();
        context.addAccumulator(name, made);
        return made;
    }
}
