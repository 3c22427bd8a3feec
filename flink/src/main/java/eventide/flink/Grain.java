package eventide.flink;

import java.io.Serializable;

/** How finely the door's watermark is told: on a grid, only when it passes an instant at which a window may be due. */
record Grain(long step, long offset) implements Serializable {
    static Grain of(Plan.Window window) {
        if (!window.kind().equals("sliding")) {
            return new Grain(1, 0);
        }
        long step = gcd(gcd(window.sizeUs(), window.slideUs()), window.lateUs());
        if ("every".equals(window.early())) {
            step = gcd(gcd(step, window.everyUs()), window.offsetUs());
        }
        return new Grain(step, window.offsetUs());
    }

    /**
     * True where the windows may hear of the watermark a little later: each comes out once, at its end, and what an event does is said by
     * the watermark that it carries. Grids are told seldom anyway.
     */
    static boolean mayWait(Plan plan) {
        Plan.Window window = plan.window();
        boolean once = window.lateUs() == 0 && window.early() == null && !window.fill() && !plan.closesByKey();
        return once && !window.kind().equals("sliding") && !window.kind().equals("count");
    }

    long of(long watermark) {
        return step == 1 ? watermark : Math.floorDiv(watermark - offset, step);
    }

    private static long gcd(long a, long b) {
        return b == 0 ? a : gcd(b, a % b);
    }
}
