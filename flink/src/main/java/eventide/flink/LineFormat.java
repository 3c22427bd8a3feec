package eventide.flink;

import java.io.IOException;
import java.io.InputStream;
import org.apache.flink.api.common.io.compression.InflaterInputStreamFactory;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.src.FileSourceSplit;
import org.apache.flink.connector.file.src.compression.StandardDeCompressors;
import org.apache.flink.connector.file.src.reader.BulkFormat;
import org.apache.flink.connector.file.src.util.ArrayResultIterator;
import org.apache.flink.connector.file.src.util.CheckpointedPosition;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.Path;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/**
 * Files as rows of one column, the bytes of a line; unpacked where their name says so. Law: a file is read whole and in its order; a place in it
 * is a byte of its content and a number of lines behind that, wherever reading began, so that every line comes once over any number of restarts.
 */
final class LineFormat implements BulkFormat<RowData, FileSourceSplit> {
    /** A batch has at most so many lines, */
    static final int LINES = 500;
    /** and ends with the line that brings it to so many bytes. */
    static final int BYTES = 256 * 1024;

    private final TypeInformation<RowData> rows;

    LineFormat(TypeInformation<RowData> rows) {
        this.rows = rows;
    }

    @Override
    public Reader createReader(Configuration config, FileSourceSplit split) throws IOException {
        return new Reader(lines(split.path(), 0));
    }

    @Override
    public Reader restoreReader(Configuration config, FileSourceSplit split) throws IOException {
        CheckpointedPosition place = split.getReaderPosition().orElseThrow();
        LineReader lines = lines(split.path(), Math.max(0, place.getOffset()));
        try {
            for (long left = place.getRecordsAfterOffset(); left > 0; left--) {
                lines.next();
            }
        } catch (IOException | RuntimeException error) {
            lines.close();
            throw error;
        }
        return new Reader(lines);
    }

    /** A file's lines from a byte of its content on, at which a line begins. */
    private static LineReader lines(Path path, long position) throws IOException {
        FSDataInputStream file = path.getFileSystem().open(path);
        try {
            InflaterInputStreamFactory<?> packed = StandardDeCompressors.getDecompressorForFileName(path.getName());
            InputStream content = packed == null ? file : packed.create(file);
            if (packed == null) {
                file.seek(position);
            } else {
                content.skipNBytes(position);
            }
            return new LineReader(content, position);
        } catch (IOException | RuntimeException error) {
            file.close();
            throw error;
        }
    }

    /** The lines of a log are counted behind each other, so nobody else reads a part of it. */
    @Override
    public boolean isSplittable() {
        return false;
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return rows;
    }

    static final class Reader implements BulkFormat.Reader<RowData> {
        private final LineReader lines;

        private Reader(LineReader lines) {
            this.lines = lines;
        }

        @Override
        public RecordIterator<RowData> readBatch() throws IOException {
            RowData[] batch = new RowData[LINES];
            long begin = lines.position();
            int count = 0;
            while (count < LINES && lines.position() - begin < BYTES) {
                byte[] line = lines.next();
                if (line == null) {
                    break;
                }
                batch[count++] = GenericRowData.of((Object) line);
            }
            if (count == 0) {
                return null;
            }
            ArrayResultIterator<RowData> records = new ArrayResultIterator<>();
            records.set(batch, count, begin, 0);
            return records;
        }

        @Override
        public void close() throws IOException {
            lines.close();
        }
    }
}
