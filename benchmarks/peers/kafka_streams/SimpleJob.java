import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The simple job on Kafka Streams: exactly once, an in-memory store with a changelog, and a record cache that is large
 * enough to hold what changes between two commits, so that the changelog gets one record of a changed customer and
 * commit.
 */
public final class SimpleJob {
  private static final String STORE = "customers";
  private static final ObjectMapper JSON = new ObjectMapper();

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Item(
      @JsonProperty("item_id") String itemId,
      @JsonProperty("price") double price,
      @JsonProperty("quantity") int quantity) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Event(
      @JsonProperty("customer_id") String customerId,
      @JsonProperty("type") String type,
      @JsonProperty("items") List<Item> items) {}

  record Summary(
      @JsonProperty("customer_id") String customerId,
      @JsonProperty("events") int events,
      @JsonProperty("spend") double spend,
      @JsonProperty("last_item") String lastItem) {}

  /** Folds events and forwards a summary of each purchase. */
  static final class Fold implements Processor<String, Event, String, Summary> {
    private ProcessorContext<String, Summary> context;
    private KeyValueStore<String, Customer> customers;

    @Override
    public void init(ProcessorContext<String, Summary> context) {
      this.context = context;
      this.customers = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<String, Event> record) {
      Event event = record.value();
      Customer customer = customers.get(record.key());
      if (customer == null) {
        customer = new Customer();
      }
      boolean purchase = event.type().equals("purchase");
      customer.count(event.type());
      if (event.items() != null) {
        for (Item item : event.items()) {
          customer.add(item.itemId());
          if (purchase) {
            customer.spend += item.price() * item.quantity();
          }
        }
      }
      customers.put(record.key(), customer);
      if (purchase) {
        context.forward(
            record.withValue(
                new Summary(event.customerId(), customer.events(), customer.spend, customer.items.peekLast())));
      }
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Map<String, String> job = System.getenv();
    Topology topology = new Topology();
    topology
        .addSource("events", new StringDeserializer(), reads(Event.class), job.get("BENCH_EVENTS"))
        .addProcessor("fold", Fold::new, "events")
        .addStateStore(
            Stores.keyValueStoreBuilder(
                    Stores.inMemoryKeyValueStore(STORE),
                    Serdes.String(),
                    Serdes.serdeFrom(Customer::encode, Customer::decode))
                .withCachingEnabled()
                .withLoggingEnabled(Map.of()),
            "fold")
        .addSink("summaries", job.get("BENCH_SUMMARIES"), new StringSerializer(), writes(Summary.class), "fold");
    Application.run(topology, job);
  }

  private static <T> Deserializer<T> reads(Class<T> type) {
    ObjectReader reader = JSON.readerFor(type);
    return (topic, bytes) -> {
      try {
        return reader.readValue(bytes);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    };
  }

  private static <T> Serializer<T> writes(Class<T> type) {
    ObjectWriter writer = JSON.writerFor(type);
    return (topic, value) -> {
      try {
        return writer.writeValueAsBytes(value);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    };
  }

  private SimpleJob() {}
}
