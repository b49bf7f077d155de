import java.util.List;

/** What the fold reads of a plain live event, and where it came from. */
final class Event {
  enum Type {
    BROWSE,
    CART,
    PURCHASE,
    RETURN,
    REVIEW,
    ENGAGEMENT
  }

  enum Message {
    SENT,
    DELIVERED,
    OPENED,
    CLICKED
  }

  /** One line. Without a price {@code price} is 0. */
  record Item(String itemId, String category, double price, boolean priced, double quantity) {}

  /** The record's bytes, for a dead letter. */
  final byte[] source;

  /** When the broker appended the record, epoch milliseconds. */
  long appended;

  /** Why it must not be folded; null: it may. */
  Refused refusal;

  String eventId = "";
  Type type;

  /** Epoch milliseconds. */
  long time;

  String customerId = "";
  String sessionId = "";
  String transactionId = "";
  String currency = "";
  List<Item> items = List.of();

  /** Whether a cart event says what is done. */
  boolean carted;

  boolean reviewed;

  /** NaN: none was given. */
  double rating = Double.NaN;

  /** What became of a message; null: it is no engagement. */
  Message message;

  boolean simulated;
  String traceparent = "";

  Event(byte[] source) {
    this.source = source;
  }
}
