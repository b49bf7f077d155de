import java.util.Arrays;

/**
 * The ring of the newest interactions: stream/profiles/interactions.py. A row is big-endian, so that rows sort as
 * bytes: seconds, code of the type, item hash, tag of the order, quantity and unit price as half floats.
 */
final class Interactions {
  static final int CAPACITY = 64;
  static final int SIZE = 19;
  static final int BROWSE = 1;
  static final int CART = 2;
  static final int PURCHASE = 3;
  static final int RETURN = 4;
  static final int REVIEW = 5;
  private static final int TYPE_AT = 4;
  private static final int ITEM_AT = 5;
  private static final int TAG_AT = 13;
  private static final int QUANTITY_AT = 15;
  private static final int PRICE_AT = 17;

  static byte[] row(long time, int code, long item, double quantity, double price, short tag) {
    byte[] row = new byte[SIZE];
    BigEndian.INT.set(row, 0, (int) (time / 1000));
    row[TYPE_AT] = (byte) code;
    BigEndian.LONG.set(row, ITEM_AT, item);
    BigEndian.SHORT.set(row, TAG_AT, tag);
    BigEndian.SHORT.set(row, QUANTITY_AT, HalfFloat.bits(quantity));
    BigEndian.SHORT.set(row, PRICE_AT, HalfFloat.bits(price));
    return row;
  }

  /** The low half of an order's hash, by which its rows are known. */
  static short tagOf(int order) {
    return (short) order;
  }

  /** The ring with one row in its place; it may now exceed the capacity. */
  static byte[] put(byte[] ring, byte[] row) {
    int at = ring.length;
    while (at > 0 && Arrays.compareUnsigned(ring, at - SIZE, at, row, 0, SIZE) > 0) {
      at -= SIZE;
    }
    return at == ring.length ? Packed.with(ring, row) : Packed.with(ring, at, row);
  }

  /** The ring without one row; the ring itself where it has no such row. */
  static byte[] without(byte[] ring, byte[] row) {
    for (int at = 0; at < ring.length; at += SIZE) {
      if (Arrays.equals(ring, at, at + SIZE, row, 0, SIZE)) {
        return Packed.without(ring, SIZE, at);
      }
    }
    return ring;
  }

  /** The newest purchase of an item in an order; null: not in the ring. */
  static byte[] purchaseOf(byte[] ring, long item, short tag) {
    for (int at = ring.length - SIZE; at >= 0; at -= SIZE) {
      if (isPurchase(ring, at) && itemAt(ring, at) == item && (short) BigEndian.SHORT.get(ring, at + TAG_AT) == tag) {
        return Packed.row(ring, SIZE, at);
      }
    }
    return null;
  }

  static boolean isPurchase(byte[] ring, int at) {
    return ring[at + TYPE_AT] == PURCHASE;
  }

  /** Epoch milliseconds, in whole seconds. */
  static long timeAt(byte[] ring, int at) {
    return ((int) BigEndian.INT.get(ring, at) & 0xffff_ffffL) * 1000;
  }

  static long itemAt(byte[] ring, int at) {
    return (long) BigEndian.LONG.get(ring, at + ITEM_AT);
  }

  static double quantity(byte[] row) {
    return HalfFloat.value((short) BigEndian.SHORT.get(row, QUANTITY_AT));
  }

  /** The row with another quantity. */
  static byte[] shrunk(byte[] row, double quantity) {
    byte[] less = row.clone();
    BigEndian.SHORT.set(less, QUANTITY_AT, HalfFloat.bits(quantity));
    return less;
  }

  /** What {@code quantity} units of a purchase cost, for a return without a price. */
  static long cents(byte[] row, double quantity) {
    double price = HalfFloat.value((short) BigEndian.SHORT.get(row, PRICE_AT));
    return (long) Math.rint(Math.rint(price * 100) * quantity);
  }

  private Interactions() {}
}
