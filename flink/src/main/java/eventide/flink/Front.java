package eventide.flink;

import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.types.Row;

/** What comes out behind doors: rows for windows or results, late rows where a join has shown them already (null elsewhere), and refused ones. */
record Front(SingleOutputStreamOperator<Event> rows, DataStream<Row> late, DataStream<Event> dead) {}
