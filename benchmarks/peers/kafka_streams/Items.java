import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Set;

/**
 * Decayed counts of purchases that have left the ring of interactions: stream/profiles/items.py. A row is the item's
 * hash, the count, and the day of the last purchase.
 */
final class Items {
  static final int SIZE = 18;
  private static final int CAPACITY = 128;
  private static final int COUNT_AT = 8;
  private static final int DAY_AT = 16;
  private static final double NOTHING = 1e-12;

  private record Ranked(double count, long item) {}

  private static final Comparator<Ranked> WEAKEST_FIRST =
      Comparator.comparingDouble(Ranked::count).thenComparing(Ranked::item, Long::compareUnsigned);

  static void interact(Profile profile, byte[] row) {
    profile.interactions = Interactions.put(profile.interactions, row);
  }

  /** To be called when all rows of an event are in the ring. */
  static void trim(Profile profile) {
    if (profile.interactions.length > Interactions.CAPACITY * Interactions.SIZE) {
      settle(profile, Interactions.CAPACITY);
    }
  }

  /** Takes the oldest interactions out of their ring until so many are left, and counts the purchases of them. */
  static void settle(Profile profile, int capacity) {
    byte[] ring = profile.interactions;
    profile.interactions = Packed.last(ring, Interactions.SIZE, capacity);
    byte[] table = profile.items;
    for (int at = 0; at < ring.length - profile.interactions.length; at += Interactions.SIZE) {
      if (Interactions.isPurchase(ring, at)) {
        table = counted(table, Interactions.itemAt(ring, at), Interactions.timeAt(ring, at), profile.lastTime);
      }
    }
    profile.items = strongest(table, CAPACITY);
  }

  /** The table with a line of {@code item} at {@code time} taken back; as it is where it holds none. */
  static byte[] takeBack(byte[] table, long item, long time, long lastTime) {
    int at = Packed.place(table, SIZE, item);
    if (at < 0) {
      return table;
    }
    double line = Decay.quarterWeight(time, lastTime);
    double left = countAt(table, at) - line;
    if (left <= NOTHING * line) {
      return Packed.without(table, SIZE, at);
    }
    byte[] less = table.clone();
    Packed.DOUBLE.set(less, at + COUNT_AT, left);
    return less;
  }

  static boolean holds(byte[] table, long item) {
    return Packed.place(table, SIZE, item) >= 0;
  }

  /** The items with the highest counts, in the table's own order. */
  static byte[] strongest(byte[] table, int capacity) {
    int surplus = table.length / SIZE - capacity;
    if (surplus <= 0) {
      return table;
    }
    Ranked[] ranked = new Ranked[table.length / SIZE];
    for (int number = 0; number < ranked.length; number++) {
      int at = number * SIZE;
      ranked[number] = new Ranked(countAt(table, at), (long) Packed.LONG.get(table, at));
    }
    Arrays.sort(ranked, WEAKEST_FIRST);
    Set<Long> dropped = new HashSet<>();
    for (int number = 0; number < surplus; number++) {
      dropped.add(ranked[number].item);
    }
    byte[] kept = new byte[table.length - surplus * SIZE];
    int end = 0;
    for (int at = 0; at < table.length; at += SIZE) {
      if (!dropped.contains((long) Packed.LONG.get(table, at))) {
        System.arraycopy(table, at, kept, end, SIZE);
        end += SIZE;
      }
    }
    return kept;
  }

  static byte[] moved(byte[] table, long eras) {
    return Decay.movedColumn(table, SIZE, COUNT_AT, eras);
  }

  private static byte[] counted(byte[] table, long item, long time, long lastTime) {
    double line = Decay.quarterWeight(time, lastTime);
    int day = (int) (time / Decay.DAY_MS);
    int at = Packed.place(table, SIZE, item);
    byte[] more = at < 0 ? Arrays.copyOf(table, table.length + SIZE) : table.clone();
    if (at < 0) {
      at = table.length;
      Packed.LONG.set(more, at, item);
    }
    Packed.DOUBLE.set(more, at + COUNT_AT, countAt(more, at) + line);
    int before = (short) Packed.SHORT.get(more, at + DAY_AT) & 0xffff;
    Packed.SHORT.set(more, at + DAY_AT, (short) Math.max(before, day));
    return more;
  }

  private static double countAt(byte[] table, int at) {
    return (double) Packed.DOUBLE.get(table, at + COUNT_AT);
  }

  private Items() {}
}
