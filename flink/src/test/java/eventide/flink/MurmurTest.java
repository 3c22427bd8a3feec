package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** Hashes against those that Apache DataSketches' own theta sketches hold of the same values. */
class MurmurTest {
    @Test
    void numbersHashByTheirEightBytes() {
        assertEquals(405753591161026837L, Murmur.of(1L));
        assertEquals(1043656188210950764L, Murmur.of(-1L));
        assertEquals(1115031845194776849L, Murmur.of(1.5));
        assertEquals(Murmur.of(1L), Murmur.of(true));
        assertEquals(Murmur.of(0L), Murmur.of(false));
    }

    @Test
    void zerosAreOneAndSoIsWhatIsNoNumber() {
        assertEquals(Murmur.of(0.0), Murmur.of(-0.0));
        assertEquals(758931599656917237L, Murmur.of(Double.NaN));
        assertEquals(758931599656917237L, Murmur.of(Double.longBitsToDouble(0xfff8000000000001L)));
    }

    @Test
    void textsHashByTheirUtf8OverWholeBlocksAndWhatIsLeft() {
        assertEquals(8863373810831573271L, Murmur.of("a"));
        assertEquals(4987741007571561948L, Murmur.of("x".repeat(7)));
        assertEquals(5069843076872559360L, Murmur.of("x".repeat(8)));
        assertEquals(8658311986226678458L, Murmur.of("x".repeat(9)));
        assertEquals(2608696559743389339L, Murmur.of("x".repeat(15)));
        assertEquals(2404989087380663892L, Murmur.of("x".repeat(16)));
        assertEquals(8864832186857419172L, Murmur.of("x".repeat(17)));
        assertEquals(7696684118572459145L, Murmur.of("x".repeat(33)));
        assertEquals(7005248744710376003L, Murmur.of("\u00e4\u20ac\ud83d\ude00".repeat(5)));
    }

    @Test
    void theEmptyTextIsAValue() {
        assertEquals(1096716193334857180L, Murmur.of(""));
    }
}
