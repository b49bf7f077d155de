import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * The open cart, the last word on each item: stream/profiles/cart.py for what is put in, and for purchases, which end
 * all that was said before. A row is the item's hash, time, hash of the event, quantity and price.
 */
final class Cart {
  static final int SIZE = 28;
  private static final int CAPACITY = 16;
  private static final int TIME_AT = 8;
  private static final int BY_AT = 16;
  private static final int QUANTITY_AT = 20;
  private static final int PRICE_AT = 24;
  private static final Comparator<byte[]> BY_TIME =
      Comparator.<byte[]>comparingLong(row -> timeAt(row, 0))
          .thenComparing(row -> byAt(row, 0))
          .thenComparing(row -> (long) Packed.LONG.get(row, 0), Long::compareUnsigned);

  /** {@code by}: hash of the event, the tie-break within a millisecond. */
  static void put(Profile profile, List<Line> lines, long time, long by) {
    if (!later(time, by, profile.cartClearedAt, profile.cartClearedBy)) {
      return;
    }
    byte[] table = profile.cart;
    for (Line line : lines) {
      int at = Packed.place(table, SIZE, line.item());
      if (at < 0) {
        table = Packed.with(table, row(line, time, by));
      } else if (!later(timeAt(table, at), byAt(table, at), time, by)) {
        table = table.clone();
        System.arraycopy(row(line, time, by), 0, table, at, SIZE);
      }
    }
    // No row of an item taken out has to go before: none is taken out.
    profile.cart = newest(table, CAPACITY);
  }

  static void clear(Profile profile, long time, long by) {
    if (!later(time, by, profile.cartClearedAt, profile.cartClearedBy)) {
      return;
    }
    profile.cartClearedAt = time;
    profile.cartClearedBy = by;
    byte[] table = profile.cart;
    byte[] kept = new byte[table.length];
    int end = 0;
    for (int at = 0; at < table.length; at += SIZE) {
      if (later(timeAt(table, at), byAt(table, at), time, by)) {
        System.arraycopy(table, at, kept, end, SIZE);
        end += SIZE;
      }
    }
    profile.cart = Arrays.copyOf(kept, end);
  }

  /** The rows written last, sorted where others go. */
  static byte[] newest(byte[] table, int capacity) {
    return table.length <= capacity * SIZE
        ? table
        : Packed.last(Packed.sorted(table, SIZE, BY_TIME), SIZE, capacity);
  }

  private static boolean later(long time, long by, long otherTime, long otherBy) {
    return time > otherTime || time == otherTime && by > otherBy;
  }

  private static byte[] row(Line line, long time, long by) {
    byte[] row = new byte[SIZE];
    Packed.LONG.set(row, 0, line.item());
    Packed.LONG.set(row, TIME_AT, time);
    Packed.INT.set(row, BY_AT, (int) by);
    Packed.FLOAT.set(row, QUANTITY_AT, (float) line.quantity());
    Packed.FLOAT.set(row, PRICE_AT, (float) line.price());
    return row;
  }

  private static long timeAt(byte[] table, int at) {
    return (long) Packed.LONG.get(table, at + TIME_AT);
  }

  private static long byAt(byte[] table, int at) {
    return (int) Packed.INT.get(table, at + BY_AT) & 0xffff_ffffL;
  }

  private Cart() {}
}
