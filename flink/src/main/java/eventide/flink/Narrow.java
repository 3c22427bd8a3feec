package eventide.flink;

import java.util.ArrayList;
import java.util.List;

/** The part of a row that the windows need: keys, then the inputs of the aggregates. Sessions judge rows, so they get all columns behind. */
final class Narrow {
    private Narrow() {}

    /** The places of the keys and of the aggregates' inputs in a row at the door. */
    static int[] places(Plan plan) {
        List<String> kept = new ArrayList<>(plan.window().keys());
        kept.addAll(plan.window().inputs());
        return plan.places(kept);
    }

    static int[] of(int[] numbers, int[] places) {
        return java.util.Arrays.stream(places).map(place -> numbers[place]).toArray();
    }

    static Object[] of(Object[] values, int[] places) {
        Object[] kept = new Object[places.length];
        for (int place = 0; place < places.length; place++) {
            kept[place] = values[places[place]];
        }
        return kept;
    }
}
