import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** A question for a score: stream/contracts/scores.py. Fields that have their default are left out of the JSON. */
record ScoreRequest(
    String requestId,
    String customerId,
    long asOf,
    Trigger trigger,
    byte[] profile,
    RecordMetadata origin,
    long firstOffset,
    List<String> eventIds,
    boolean simulated,
    String traceparent) {
  private static final JsonFactory JSON = new JsonFactory();

  enum Trigger {
    PURCHASE("purchase"),
    RETURN("return"),
    REVIEW("review"),
    BROWSE("browse"),
    SILENCE("silence"),
    INTERVAL("interval");

    final String text;

    Trigger(String text) {
      this.text = text;
    }
  }

  byte[] json() {
    try (ByteArrayBuilder bytes = new ByteArrayBuilder(2 * profile.length);
        JsonGenerator out = JSON.createGenerator(bytes)) {
      out.writeStartObject();
      out.writeStringField("kind", "score");
      out.writeStringField("request_id", requestId);
      out.writeStringField("customer_id", customerId);
      out.writeNumberField("as_of", asOf);
      if (trigger != Trigger.INTERVAL) {
        out.writeStringField("trigger", trigger.text);
      }
      out.writeBinaryField("profile", profile);
      out.writeStringField("events_topic", origin.topic());
      writePositive(out, "events_partition", origin.partition());
      writePositive(out, "first_offset", firstOffset);
      writePositive(out, "last_offset", origin.offset());
      if (!eventIds.isEmpty()) {
        out.writeArrayFieldStart("event_ids");
        for (String eventId : eventIds) {
          out.writeString(eventId);
        }
        out.writeEndArray();
      }
      if (simulated) {
        out.writeBooleanField("simulated", true);
      }
      if (!traceparent.isEmpty()) {
        out.writeStringField("traceparent", traceparent);
      }
      out.writeEndObject();
      out.flush();
      return bytes.toByteArray();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static void writePositive(JsonGenerator out, String name, long value) throws IOException {
    if (value != 0) {
      out.writeNumberField(name, value);
    }
  }
}
