package eventide.flink;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.streaming.api.transformations.PhysicalTransformation;

/**
 * Names for operators that have none, tables among them. Law: the same plan gives the same names at every parallelism; Flink's own depend on
 * which operators are chained, so that a savepoint would not fit.
 */
final class Uids {
    private final Set<Integer> seen = new HashSet<>();
    private int next;

    private Uids() {}

    static void give(List<Transformation<?>> ends) {
        Uids uids = new Uids();
        ends.forEach(uids::give);
    }

    /** What comes in front first, so that an order of inputs decides. */
    private void give(Transformation<?> one) {
        if (!seen.add(one.getId())) {
            return;
        }
        one.getInputs().forEach(this::give);
        if (one instanceof PhysicalTransformation<?>) {
            next++;
            if (one.getUid() == null) {
                one.setUid("part-" + next);
            }
        }
    }
}
