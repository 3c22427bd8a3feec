package eventide.flink;

import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.types.Row;

/** What comes out behind doors: rows for windows or results, late rows with the reason (null where windows judge), and refused ones. */
record Front(SingleOutputStreamOperator<Event> rows, DataStream<Row> late, Tables.Shape lateShape, DataStream<Event> dead) {}
