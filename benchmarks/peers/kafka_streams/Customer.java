import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;

/** The state of one customer, and its bytes: counts in order of TYPES, spend, and the items, each with its length. */
final class Customer {
  private static final String[] TYPES = {"browse", "cart", "purchase", "return", "review", "engagement"};
  private static final int LAST_ITEMS = 50;

  final int[] counts = new int[TYPES.length];
  double spend;
  final ArrayDeque<String> items = new ArrayDeque<>(LAST_ITEMS + 1);

  void count(String type) {
    for (int place = 0; place < TYPES.length; place++) {
      if (TYPES[place].equals(type)) {
        counts[place]++;
        return;
      }
    }
    throw new IllegalArgumentException("unknown type of event: " + type);
  }

  void add(String item) {
    items.addLast(item);
    if (items.size() > LAST_ITEMS) {
      items.removeFirst();
    }
  }

  int events() {
    int events = 0;
    for (int count : counts) {
      events += count;
    }
    return events;
  }

  static byte[] encode(String topic, Customer customer) {
    if (customer == null) {
      return null;
    }
    byte[][] items = new byte[customer.items.size()][];
    int size = Integer.BYTES * TYPES.length + Double.BYTES;
    int place = 0;
    for (String item : customer.items) {
      items[place] = item.getBytes(StandardCharsets.UTF_8);
      size += 1 + items[place++].length;
    }
    ByteBuffer bytes = ByteBuffer.allocate(size);
    for (int count : customer.counts) {
      bytes.putInt(count);
    }
    bytes.putDouble(customer.spend);
    for (byte[] item : items) {
      bytes.put((byte) item.length).put(item);
    }
    return bytes.array();
  }

  static Customer decode(String topic, byte[] encoded) {
    if (encoded == null) {
      return null;
    }
    Customer customer = new Customer();
    ByteBuffer bytes = ByteBuffer.wrap(encoded);
    for (int place = 0; place < TYPES.length; place++) {
      customer.counts[place] = bytes.getInt();
    }
    customer.spend = bytes.getDouble();
    while (bytes.hasRemaining()) {
      int length = bytes.get();
      customer.items.addLast(new String(encoded, bytes.position(), length, StandardCharsets.UTF_8));
      bytes.position(bytes.position() + length);
    }
    return customer;
  }
}
