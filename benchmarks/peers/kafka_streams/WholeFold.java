import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.AutoOffsetReset;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Tidemark's role `profiles` on Kafka Streams, for plain live events: the whole fold, its timers and its score
 * requests, exactly once, with the same bytes of state. The store is one in memory with a changelog and a record
 * cache, as in SimpleJob; it holds bytes, so that a profile that went into a request is not encoded twice.
 */
public final class WholeFold {
  private static final String STORE = "customers";
  private static final String REQUESTS = "requests";
  private static final String DEAD_LETTERS = "dead-letters";

  /** One partition: fires what a record's time makes due, then folds the record. */
  static final class Profiles implements Processor<byte[], Event, byte[], byte[]> {
    private final ProfileCodec codec = new ProfileCodec();
    private final Asking asking;
    private final Fold fold;
    private Timers timers;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, byte[]> customers;
    private long movedTo;

    Profiles(Settings settings) {
      asking = new Asking(settings, codec);
      fold = new Fold(settings, asking, codec);
    }

    /** Called anew after a failure: nothing but the store is then as of the last commit. */
    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      customers = context.getStateStore(STORE);
      timers = new Timers();
      movedTo = context.currentStreamTimeMs();
      try (KeyValueIterator<String, byte[]> restored = customers.all()) {
        while (restored.hasNext()) {
          KeyValue<String, byte[]> customer = restored.next();
          timers.set(customer.key, ProfileCodec.decode(customer.value).due());
        }
      }
    }

    @Override
    public void process(Record<byte[], Event> record) {
      Event event = record.value();
      RecordMetadata origin = context.recordMetadata().orElseThrow();
      if (event.refusal != null) {
        bury(record, event.refusal, origin);
        return;
      }
      if (event.time > movedTo) {
        for (Timers.Timer due = timers.pop(event.time); due != null; due = timers.pop(event.time)) {
          fire(due.key(), due.due(), origin, record.timestamp());
        }
        movedTo = event.time;
      } else {
        catchUp(event, origin);
      }
      try {
        Fold.Folded folded = fold.fold(read(event.customerId), event, origin);
        if (!folded.duplicate()) {
          keep(folded.profile(), folded.request(), record.timestamp());
        }
      } catch (Refused refusal) {
        bury(record, refusal, origin);
      }
    }

    /** Fires what is due for a customer by an own event, where others have moved partition time beyond it. */
    private void catchUp(Event event, RecordMetadata origin) {
      String key = event.customerId;
      for (long due = timers.dueOf(key); due != 0 && due <= event.time; due = timers.dueOf(key)) {
        timers.set(key, 0);
        fire(key, due, origin, event.time);
      }
    }

    private void fire(String key, long due, RecordMetadata origin, long timestamp) {
      Profile profile = read(key);
      keep(profile, asking.onTimer(profile, due, origin), timestamp);
    }

    private Profile read(String key) {
      byte[] encoded = customers.get(key);
      return encoded == null ? null : ProfileCodec.decode(encoded);
    }

    private void keep(Profile profile, ScoreRequest request, long timestamp) {
      String key = profile.customerId;
      customers.put(key, request == null ? codec.encode(profile) : request.profile());
      timers.set(key, profile.due());
      if (request != null) {
        context.forward(new Record<>(key.getBytes(StandardCharsets.UTF_8), request.json(), timestamp), REQUESTS);
      }
    }

    private void bury(Record<byte[], Event> record, Refused refusal, RecordMetadata origin) {
      Event event = record.value();
      Headers headers = new RecordHeaders();
      add(headers, "code", refusal.code);
      add(headers, "message", refusal.getMessage());
      add(headers, "field", "");
      add(headers, "topic", origin.topic());
      add(headers, "partition", Integer.toString(origin.partition()));
      add(headers, "offset", Long.toString(origin.offset()));
      add(headers, "timestamp", Long.toString(event.appended));
      add(headers, "attempt", "1");
      add(headers, "worker", "kafka-streams");
      context.forward(new Record<>(record.key(), event.source, event.appended, headers), DEAD_LETTERS);
    }

    private static void add(Headers headers, String name, String value) {
      headers.add("tidemark-dead-" + name, value.getBytes(StandardCharsets.UTF_8));
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Map<String, String> job = System.getenv();
    Settings settings = Settings.of(job.get("BENCH_PROFILES"));
    Validation validation = new Validation(settings, Integer.parseInt(job.get("BENCH_PARTITIONS")));
    ByteArraySerializer bytes = new ByteArraySerializer();
    Topology topology = new Topology();
    topology
        .addSource(
            AutoOffsetReset.earliest(),
            "events",
            validation,
            new ByteArrayDeserializer(),
            new EventReader(settings),
            job.get("BENCH_EVENTS"))
        .addProcessor("profiles", () -> new Profiles(settings), "events")
        .addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray())
                .withCachingEnabled()
                .withLoggingEnabled(Map.of()),
            "profiles")
        .addSink(REQUESTS, job.get("BENCH_REQUESTS"), bytes, bytes, "profiles")
        .addSink(DEAD_LETTERS, job.get("BENCH_DEAD_LETTERS"), bytes, bytes, "profiles");
    Application.run(topology, job);
  }

  private WholeFold() {}
}
