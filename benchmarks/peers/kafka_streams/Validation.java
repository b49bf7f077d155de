import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.streams.processor.TimestampExtractor;

/**
 * Judges events by stream/profiles/validation.py, and is where Kafka Streams learns their time: its stream time is then
 * the partition's time, kept with the offsets. A refused record moves no time.
 */
final class Validation implements TimestampExtractor {
  private static final long EARLIEST_MS = 631_152_000_000L;
  private static final long LATEST_MS = 4_102_444_800_000L;
  private static final double SMALLEST_QUANTITY = 0.001;

  private final Settings settings;
  private final int partitions;

  Validation(Settings settings, int partitions) {
    this.settings = settings;
    this.partitions = partitions;
  }

  @Override
  public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
    Event event = (Event) record.value();
    event.appended = record.timestamp();
    if (event.refusal == null) {
      try {
        judge(event, record);
        return event.time;
      } catch (Refused refusal) {
        event.refusal = refusal;
      }
    }
    return Math.max(partitionTime, 0);
  }

  private void judge(Event event, ConsumerRecord<Object, Object> record) {
    if (record.headers().iterator().hasNext()) {
      throw new UnsupportedOperationException("a record with headers is not ported");
    }
    time(event);
    identity(event, record);
    content(event);
    items(event);
  }

  private void time(Event event) {
    if (event.time < EARLIEST_MS || event.time >= LATEST_MS) {
      throw new Refused("out_of_range", "time " + event.time);
    }
    if (event.time > event.appended + settings.futureToleranceMs()) {
      throw new Refused("in_future", event.time + " is ahead of the broker's " + event.appended);
    }
  }

  private void identity(Event event, ConsumerRecord<Object, Object> record) {
    if (event.eventId.isEmpty() || event.customerId.isEmpty()) {
      throw new Refused("missing_field", "every event needs event_id and customer_id");
    }
    length(event.eventId);
    length(event.customerId);
    length(event.transactionId);
    length(event.sessionId);
    byte[] key = (byte[]) record.key();
    if (!Arrays.equals(key, event.customerId.getBytes(StandardCharsets.UTF_8))) {
      throw new Refused("wrong_key", "the record's key is not the customer_id");
    }
    if (BuiltInPartitioner.partitionForKey(key, partitions) != record.partition()) {
      throw new Refused("wrong_partition", "the key belongs to another partition by murmur2");
    }
  }

  private void content(Event event) {
    boolean whole =
        switch (event.type) {
          case BROWSE -> true;
          case CART -> event.carted && !event.items.isEmpty();
          case PURCHASE -> !event.items.isEmpty();
          case RETURN -> !event.items.isEmpty() || !event.transactionId.isEmpty();
          case REVIEW -> event.reviewed;
          case ENGAGEMENT -> event.message != null;
        };
    if (!whole) {
      throw new Refused("missing_field", "an event of type " + event.type + " needs more");
    }
    if (event.type == Event.Type.REVIEW && (event.rating < 1 || event.rating > 5)) {
      throw new Refused("out_of_range", "rating " + event.rating);
    }
    if (event.type == Event.Type.RETURN && (event.transactionId.isEmpty() || event.items.isEmpty())) {
      throw new UnsupportedOperationException("a return that does not name both order and items is not ported");
    }
  }

  private void items(Event event) {
    List<Event.Item> items = event.items;
    if (items.isEmpty()) {
      return;
    }
    if (!event.currency.isEmpty() && !event.currency.equals(settings.currency())) {
      throw new UnsupportedOperationException("amounts in " + event.currency + " are not ported");
    }
    if (items.size() > settings.limits().items()) {
      throw new Refused("out_of_range", items.size() + " items");
    }
    double amount = 0.0;
    for (Event.Item item : items) {
      amount += amount(item, event.type == Event.Type.PURCHASE);
    }
    if (amount > settings.limits().amount()) {
      throw new Refused("out_of_range", "an amount of " + amount);
    }
  }

  private double amount(Event.Item item, boolean bought) {
    if (item.itemId().isEmpty() || bought && !item.priced()) {
      throw new Refused("missing_field", "an item needs an item_id, and a bought one a price");
    }
    length(item.itemId());
    if (!(item.quantity() >= SMALLEST_QUANTITY && item.quantity() <= settings.limits().quantity())) {
      throw new Refused("out_of_range", "a quantity of " + item.quantity());
    }
    if (!(item.price() >= 0 && item.price() <= settings.limits().price())) {
      throw new Refused("out_of_range", "a price of " + item.price());
    }
    return item.price() * item.quantity();
  }

  private void length(String id) {
    int most = settings.limits().idLength();
    if (id.length() > most && id.codePointCount(0, id.length()) > most) {
      throw new Refused("out_of_range", "an id of " + id.length() + " characters");
    }
  }
}
