package eventide.flink;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;

/** Which jar this code is from. A cluster may have our jar in its class path, and then that one runs, whatever was sent. */
final class Seal {
    private static final int DIGITS = 16;

    private Seal() {}

    /** Ends a job whose sender had another jar in mind. */
    static void check(String[] arguments) throws IOException, URISyntaxException, GeneralSecurityException {
        int place = Arrays.asList(arguments).indexOf("--jar");
        Path here = Path.of(Job.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        if (place < 0 || !Files.isRegularFile(here)) {
            return;
        }
        if (!of(Files.readAllBytes(here)).equals(arguments[place + 1])) {
            throw new IllegalStateException(
                    "the cluster has another release of the job in its class path: restart it (eventide flink down, eventide flink up),"
                            + " or put the jar of this release there");
        }
    }

    static String of(byte[] jar) throws GeneralSecurityException {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(jar)).substring(0, DIGITS);
    }
}
