package eventide.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSourceSplit;
import org.apache.flink.connector.file.src.reader.BulkFormat;
import org.apache.flink.connector.file.src.util.CheckpointedPosition;
import org.apache.flink.connector.file.src.util.RecordAndPosition;
import org.apache.flink.connector.file.table.DeserializationSchemaAdapter;
import org.apache.flink.connector.file.table.factories.BulkReaderFormatFactory;
import org.apache.flink.core.fs.Path;
import org.apache.flink.formats.raw.RawFormatDeserializationSchema;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.VarBinaryType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Lines of files: what they are, and that each comes once however often reading begins again. */
class LineFormatTest {
    private static final TypeInformation<RowData> ROWS = TypeInformation.of(RowData.class);

    @TempDir
    java.nio.file.Path folder;

    /** A file with a content, packed where its name says so, from two members. */
    private FileSourceSplit file(String name, byte[] content) throws IOException {
        byte[] bytes = content;
        if (name.endsWith(".gz")) {
            ByteArrayOutputStream packed = new ByteArrayOutputStream();
            int half = content.length / 2;
            for (int[] part : new int[][] {{0, half}, {half, content.length - half}}) {
                try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
                    out.write(content, part[0], part[1]);
                }
            }
            bytes = packed.toByteArray();
        }
        java.nio.file.Path path = Files.write(folder.resolve(name), bytes);
        return new FileSourceSplit("one", new Path(path.toUri()), 0, bytes.length, 0, bytes.length);
    }

    /** Lines as a process reads them that ends behind so many; the split that the next one goes on with is put into `goesOn`. */
    private static List<String> read(
            BulkFormat<RowData, FileSourceSplit> format, FileSourceSplit split, int atMost, List<FileSourceSplit> goesOn) throws IOException {
        List<String> found = new ArrayList<>();
        Configuration none = new Configuration();
        try (var reader = split.getReaderPosition().isPresent() ? format.restoreReader(none, split) : format.createReader(none, split)) {
            BulkFormat.RecordIterator<RowData> batch;
            while ((batch = reader.readBatch()) != null) {
                RecordAndPosition<RowData> one;
                while ((one = batch.next()) != null) {
                    found.add(new String(one.getRecord().getBinary(0), StandardCharsets.ISO_8859_1));
                    if (found.size() == atMost) {
                        goesOn.add(split.updateWithCheckpointedPosition(
                                new CheckpointedPosition(one.getOffset(), one.getRecordSkipCount())));
                        return found;
                    }
                }
                batch.releaseBatch();
            }
        }
        return found;
    }

    private static List<String> read(BulkFormat<RowData, FileSourceSplit> format, FileSourceSplit split) throws IOException {
        return read(format, split, Integer.MAX_VALUE, new ArrayList<>());
    }

    private List<String> lines(String content) throws IOException {
        return read(new LineFormat(ROWS), file("some.csv", content.getBytes(StandardCharsets.ISO_8859_1)));
    }

    @Test
    void aLineEndsWithLfOrCrLfAndTheLastOneNeedsNoEnd() throws IOException {
        assertEquals(List.of("a", "", "b\r", "c\rd", "e"), lines("a\r\n\nb\r\r\nc\rd\ne"));
        assertEquals(List.of("a", ""), lines("a\n\r"));
        assertEquals(List.of("a", ""), lines("a\n\n"));
        assertEquals(List.of(""), lines("\r\n"));
        assertEquals(List.of(), lines(""));
    }

    /** Lines up to three times as long as a block of the reader, and the ends of lines where blocks end. */
    private static byte[] drawn(Random draw) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        byte[] alphabet = {'a', '"', ',', '\r', (byte) 0xc3, 0};
        for (int line = draw.nextInt(3_000); line >= 0; line--) {
            int length = draw.nextInt(300) == 0 ? draw.nextInt(200_000) : draw.nextInt(60);
            for (int left = length; left > 0; left--) {
                content.write(alphabet[draw.nextInt(alphabet.length)]);
            }
            content.writeBytes(new byte[][] {{'\n'}, {'\r', '\n'}, {'\n', '\n'}}[draw.nextInt(3)]);
        }
        content.writeBytes(new byte[][] {{}, {'z'}, {'\r'}}[draw.nextInt(3)]);
        return content.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"some.csv", "some.csv.gz"})
    void linesAreThoseThatFlinksOwnFormatGives(String name) throws IOException {
        var own = new DeserializationSchemaAdapter(
                new RawFormatDeserializationSchema(new VarBinaryType(VarBinaryType.MAX_LENGTH), ROWS, "UTF-8", true));
        Random draw = new Random(5);
        for (int round = 0; round < 12; round++) {
            FileSourceSplit split = file(name, drawn(draw));
            assertEquals(read(own, split), read(new LineFormat(ROWS), split));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"some.csv", "some.csv.gz"})
    void everyLineComesOnceHoweverOftenReadingBeginsAgain(String name) throws IOException {
        LineFormat format = new LineFormat(ROWS);
        Random draw = new Random(6);
        for (int round = 0; round < 12; round++) {
            FileSourceSplit split = file(name, drawn(draw));
            List<String> expected = read(format, split);
            List<String> found = new ArrayList<>();
            for (int restart = 0; restart < 4 && split != null; restart++) {
                List<FileSourceSplit> goesOn = new ArrayList<>();
                int atMost = restart < 3 ? 1 + draw.nextInt(expected.size() / 3 + 1) : Integer.MAX_VALUE;
                found.addAll(read(format, split, atMost, goesOn));
                split = goesOn.isEmpty() ? null : goesOn.get(0);
            }
            assertEquals(expected, found);
        }
    }

    @Test
    void aBatchHasFewLinesOrFewBytes() throws IOException {
        FileSourceSplit small = file("small.csv", "\n".repeat(LineFormat.LINES + 1).getBytes(StandardCharsets.UTF_8));
        FileSourceSplit wide = file("wide.csv", ("x".repeat(LineFormat.BYTES) + "\n").repeat(2).getBytes(StandardCharsets.UTF_8));
        assertEquals(List.of(LineFormat.LINES, 1), sizes(small));
        assertEquals(List.of(1, 1), sizes(wide));
    }

    private static List<Integer> sizes(FileSourceSplit split) throws IOException {
        List<Integer> sizes = new ArrayList<>();
        try (var reader = new LineFormat(ROWS).createReader(new Configuration(), split)) {
            BulkFormat.RecordIterator<RowData> batch;
            while ((batch = reader.readBatch()) != null) {
                int size = 0;
                while (batch.next() != null) {
                    size++;
                }
                sizes.add(size);
            }
            assertNull(reader.readBatch());
        }
        return sizes;
    }

    @Test
    void flinkFindsTheFormatByItsNameAndReadsFilesWhole() {
        ClassLoader classes = LineFormat.class.getClassLoader();
        assertInstanceOf(LineFormatFactory.class, FactoryUtil.discoverFactory(classes, BulkReaderFormatFactory.class, "eventide-lines"));
        assertFalse(new LineFormat(ROWS).isSplittable());
    }
}
