import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs statements of Flink SQL as one job: what a person would write by hand, submitted like our own job. */
public final class SqlJob {
  public static void main(String[] arguments) {
    String script = new String(Base64.getUrlDecoder().decode(arguments[0]), StandardCharsets.UTF_8);
    TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
    for (String statement : script.split(";\n")) {
      if (!statement.isBlank()) tables.executeSql(statement);
    }
  }
}
