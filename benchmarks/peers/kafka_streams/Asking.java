import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * When a customer's score is asked for, and the timers that wait for it: stream/profiles/asking.py and timers.py. Not
 * safe for use by several threads.
 */
final class Asking {
  private static final int EVIDENCE = 16;
  private static final byte ID_END = (byte) 0xff;
  private static final byte[] NAMESPACE_OF_NAMESPACES = new byte[16];

  private final Settings settings;
  private final ProfileCodec codec;
  private final MessageDigest sha1;
  private final byte[] namespace;

  Asking(Settings settings, ProfileCodec codec) {
    this.settings = settings;
    this.codec = codec;
    try {
      sha1 = MessageDigest.getInstance("SHA-1");
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error);
    }
    UUID requests = uuid5(NAMESPACE_OF_NAMESPACES, "io.tidemark.score-request".getBytes(StandardCharsets.UTF_8));
    namespace =
        ByteBuffer.allocate(16)
            .putLong(requests.getMostSignificantBits())
            .putLong(requests.getLeastSignificantBits())
            .array();
  }

  /** Remembers an event as evidence for the next request. */
  static void note(Profile profile, Event event, long offset) {
    if (profile.firstOffset < 0) {
      profile.firstOffset = offset;
    }
    byte[] id = event.eventId.getBytes(StandardCharsets.UTF_8);
    byte[] evidence = Arrays.copyOf(profile.evidence, profile.evidence.length + id.length + 1);
    System.arraycopy(id, 0, evidence, profile.evidence.length, id.length);
    evidence[evidence.length - 1] = ID_END;
    profile.evidence = evidence;
    dropEvidence(profile, EVIDENCE);
    profile.simulated |= event.simulated;
  }

  /** Forgets the oldest ids until so many are left. */
  static void dropEvidence(Profile profile, int keep) {
    byte[] evidence = profile.evidence;
    int kept = 0;
    for (int at = evidence.length - 1; at >= 0; at--) {
      if (evidence[at] == ID_END && kept++ == keep) {
        profile.evidence = Arrays.copyOfRange(evidence, at + 1, evidence.length);
        return;
      }
    }
  }

  /** The request that an event raises; null while it must wait. */
  ScoreRequest consider(Profile profile, ScoreRequest.Trigger trigger, RecordMetadata origin, String traceparent) {
    return mayAsk(profile, profile.lastTime) ? ask(profile, trigger, profile.lastTime, origin, traceparent) : null;
  }

  /** Fires what is due at {@code due}; the request that comes of it, or null. */
  ScoreRequest onTimer(Profile profile, long due, RecordMetadata origin) {
    boolean waiting = profile.askDue != 0 && profile.askDue <= due;
    boolean silent = profile.silenceDue != 0 && profile.silenceDue <= due;
    if (silent) {
      profile.silenceStep++;
      arm(profile, due);
    }
    if (waiting) {
      profile.askDue = 0;
    }
    long asOf = Math.max(due, profile.lastTime);
    if (!(waiting || silent) || !mayAsk(profile, asOf)) {
      return null;
    }
    return ask(profile, silent ? ScoreRequest.Trigger.SILENCE : ScoreRequest.Trigger.INTERVAL, asOf, origin, "");
  }

  /** Arms the timer for the customer's silence, counted from the last basket. */
  void listen(Profile profile) {
    profile.silenceStep = 0;
    arm(profile, profile.lastTime);
  }

  private boolean mayAsk(Profile profile, long at) {
    long end = profile.askedAt + settings.askIntervalMs();
    if (profile.askedAt == 0 || at >= end) {
      return true;
    }
    profile.askDue = end;
    return false;
  }

  private ScoreRequest ask(
      Profile profile, ScoreRequest.Trigger trigger, long asOf, RecordMetadata origin, String traceparent) {
    List<String> eventIds = new ArrayList<>(EVIDENCE);
    int begin = 0;
    for (int at = 0; at < profile.evidence.length; at++) {
      if (profile.evidence[at] == ID_END) {
        eventIds.add(new String(profile.evidence, begin, at - begin, StandardCharsets.UTF_8));
        begin = at + 1;
      }
    }
    long firstOffset = profile.firstOffset >= 0 ? profile.firstOffset : origin.offset();
    boolean simulated = profile.simulated;
    profile.askedAt = asOf;
    profile.askDue = 0;
    profile.browsesSinceAsk = 0;
    profile.evidence = Packed.EMPTY;
    profile.firstOffset = -1;
    profile.simulated = false;
    return new ScoreRequest(
        requestId(profile.customerId, trigger, asOf),
        profile.customerId,
        asOf,
        trigger,
        codec.encode(profile),
        origin,
        firstOffset,
        eventIds,
        simulated,
        traceparent);
  }

  private void arm(Profile profile, long after) {
    Baskets.Span bought = Baskets.span(profile);
    profile.silenceDue = 0;
    if (bought.count() == 0) {
      return;
    }
    double length = settings.oneTimeSilenceMs();
    if (bought.count() > 1) {
      double own = (double) (bought.last() - bought.first()) / (bought.count() - 1) * settings.silenceFactor();
      length = Math.min(Math.max(own, settings.silenceMinMs()), settings.silenceMaxMs());
    }
    long stop = bought.last() + settings.silenceStopMs();
    double due = bought.last();
    for (int step = 0; due <= stop; step++) {
      due += length;
      length *= settings.silenceGrowth();
      if (step >= profile.silenceStep && due > after) {
        profile.silenceStep = step;
        profile.silenceDue = due <= stop ? (long) due : 0;
        return;
      }
    }
  }

  private String requestId(String customerId, ScoreRequest.Trigger trigger, long asOf) {
    String customer = new String(JsonStringEncoder.getInstance().quoteAsString(customerId));
    String name = "[\"" + customer + "\",\"" + trigger.text + "\"," + asOf + ",0]";
    return uuid5(namespace, name.getBytes(StandardCharsets.UTF_8)).toString();
  }

  /** RFC 9562, section 5.5. */
  private UUID uuid5(byte[] space, byte[] name) {
    sha1.update(space);
    ByteBuffer digest = ByteBuffer.wrap(sha1.digest(name));
    long most = digest.getLong() & ~0xf000L | 0x5000L;
    long least = digest.getLong() & ~(0xc0L << 56) | 0x80L << 56;
    return new UUID(most, least);
  }
}
