package eventide.flink;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.AbstractDataType;
import org.apache.flink.types.Row;

/** Streams of ours as tables and back. Law: an instant is a TIMESTAMP_LTZ(6) there and whole microseconds here. */
final class Tables {
    private Tables() {}

    /** The columns of rows that become a table. */
    record Shape(List<String> names, List<String> types) implements Serializable {
        Shape() {
            this(new ArrayList<>(), new ArrayList<>());
        }

        Shape add(String name, String type) {
            names.add(name);
            types.add(type);
            return this;
        }

        TypeInformation<Row> information() {
            return Types.ROW_NAMED(
                    names.toArray(String[]::new), types.stream().map(Tables::information).toArray(TypeInformation[]::new));
        }

        Schema.Builder schema(List<String> notNull) {
            Schema.Builder builder = Schema.newBuilder();
            for (int place = 0; place < names.size(); place++) {
                var type = type(types.get(place));
                builder.column(names.get(place), notNull.contains(names.get(place)) ? type.notNull() : type);
            }
            return builder;
        }

        /** The row as Flink's tables take it. */
        Row shown(Object[] values) {
            Row row = new Row(values.length);
            for (int place = 0; place < values.length; place++) {
                row.setField(place, shownAs(values[place], types.get(place)));
            }
            return row;
        }
    }

    private static Object shownAs(Object value, String type) {
        if (value == null) {
            return null;
        }
        return switch (type) {
            case "instant" -> Times.instant((Long) value);
            case "list of instant" -> each((Object[]) value, "instant", new java.time.Instant[((Object[]) value).length]);
            case "list of integer" -> each((Object[]) value, "integer", new Long[((Object[]) value).length]);
            case "list of float" -> each((Object[]) value, "float", new Double[((Object[]) value).length]);
            case "list of string" -> each((Object[]) value, "string", new String[((Object[]) value).length]);
            case "list of boolean" -> each((Object[]) value, "boolean", new Boolean[((Object[]) value).length]);
            case "float" -> ((Number) value).doubleValue();
            default -> value;
        };
    }

    private static Object[] each(Object[] values, String type, Object[] into) {
        for (int place = 0; place < values.length; place++) {
            into[place] = shownAs(values[place], type);
        }
        return into;
    }

    private static TypeInformation<?> information(String type) {
        return switch (type) {
            case "integer" -> Types.LONG;
            case "float" -> Types.DOUBLE;
            case "boolean" -> Types.BOOLEAN;
            case "instant" -> Types.INSTANT;
            case "string" -> Types.STRING;
            default -> type.startsWith("list of ")
                    ? Types.OBJECT_ARRAY(information(type.substring(8)))
                    : Types.OBJECT_ARRAY(Types.ROW_NAMED(new String[] {"value", "count"}, information(type.substring(7)), Types.LONG));
        };
    }

    private static AbstractDataType<?> type(String type) {
        return switch (type) {
            case "integer" -> DataTypes.BIGINT();
            case "float" -> DataTypes.DOUBLE();
            case "boolean" -> DataTypes.BOOLEAN();
            case "instant" -> DataTypes.TIMESTAMP_LTZ(6);
            case "string" -> DataTypes.STRING();
            default -> type.startsWith("list of ")
                    ? DataTypes.ARRAY(type(type.substring(8)))
                    : DataTypes.ARRAY(DataTypes.ROW(
                            DataTypes.FIELD("value", type(type.substring(7))), DataTypes.FIELD("count", DataTypes.BIGINT())));
        };
    }

    /** A table's row as an event. Behind the plan's columns stand log, offset and arrival. */
    record ToEvent(List<Plan.Column> columns) implements MapFunction<RowData, Event> {
        @Override
        public Event map(RowData row) {
            Object[] values = new Object[columns.size()];
            for (int place = 0; place < values.length; place++) {
                values[place] = row.isNullAt(place) ? null : value(row, place, columns.get(place).type());
            }
            int behind = values.length;
            long arrival = row.isNullAt(behind + 2) ? Instants.UNKNOWN : row.getLong(behind + 2);
            return new Event(Event.ROW, row.getString(behind).toString(), row.getLong(behind + 1), arrival, values);
        }

        private static Object value(RowData row, int place, String type) {
            return switch (type) {
                case "integer" -> (Object) row.getLong(place);
                case "float" -> row.getDouble(place);
                case "boolean" -> row.getBoolean(place);
                case "instant" -> micros(row.getTimestamp(place, 6));
                default -> row.getString(place).toString();
            };
        }

        private static long micros(TimestampData at) {
            return at.getMillisecond() * 1_000 + at.getNanoOfMillisecond() / 1_000;
        }
    }

    /** An event as a table's row, log, offset and arrival behind its columns. */
    record ToRow(Shape shape) implements MapFunction<Event, Row> {
        @Override
        public Row map(Event event) {
            int columns = event.values.length;
            Object[] values = java.util.Arrays.copyOf(event.values, columns + 3);
            values[columns] = event.log;
            values[columns + 1] = event.offset;
            values[columns + 2] = event.arrival == Instants.UNKNOWN ? null : (Object) event.arrival;
            return shape.shown(values);
        }
    }

    static Shape intake(List<Plan.Column> columns) {
        Shape shape = new Shape();
        columns.forEach(one -> shape.add(one.name(), one.type()));
        return shape.add("_log", "string").add("_offset", "integer").add("_arrival", "integer");
    }
}
