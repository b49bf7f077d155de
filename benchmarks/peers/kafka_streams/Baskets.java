import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;

/**
 * A customer's baskets, the newest one by one and the older ones in sums: stream/profiles/baskets.py. A row is the hash
 * of the order, its time, cents and thousandths of units less returns, and whether the basket counts.
 */
final class Baskets {
  static final int CAPACITY = 16;
  static final int SIZE = 29;
  private static final int TIME_AT = 4;
  private static final int CENTS_AT = 12;
  private static final int UNITS_AT = 20;
  private static final int COUNTS_AT = 28;
  private static final Comparator<byte[]> BY_TIME =
      Comparator.<byte[]>comparingLong(row -> timeAt(row, 0))
          .thenComparing(row -> (int) Packed.INT.get(row, 0), Integer::compareUnsigned);

  private static final int BUCKET_SIZE = 10;
  private static final int BUCKET_CENTS_AT = 2;
  private static final long BUCKET_MS = 28 * Decay.DAY_MS;
  private static final int BUCKETS_KEPT = 14;

  /** One order; cents and units are purchases less returns. */
  record Basket(int order, long time, long cents, long units) {
    boolean counts() {
      return units > 0;
    }
  }

  /** How many baskets count, and the times of the first and the last. */
  record Span(long count, long first, long last) {}

  /** The basket of an order; null: it is not among the newest. */
  static Basket find(Profile profile, int order) {
    int at = Packed.place(profile.baskets, SIZE, order);
    return at < 0 ? null : basketAt(profile.baskets, at);
  }

  static Span span(Profile profile) {
    long count = profile.settledBaskets;
    long first = profile.settledFirst;
    long last = profile.settledLast;
    for (int at = 0; at < profile.baskets.length; at += SIZE) {
      if (profile.baskets[at + COUNTS_AT] != 0) {
        long time = timeAt(profile.baskets, at);
        first = count == 0 ? time : Math.min(first, time);
        last = count == 0 ? time : Math.max(last, time);
        count++;
      }
    }
    return new Span(count, first, last);
  }

  /** Adds the basket of an order that is not among the newest, and carries it to all sums. */
  static void begin(Profile profile, Basket basket) {
    carry(profile, basket.time, basket.counts() ? 1 : 0, basket.cents);
    byte[] table = profile.baskets;
    profile.baskets = Packed.with(table, row(basket));
    if (table.length != 0 && basket.time <= timeAt(table, table.length - SIZE)) {
      sort(profile);
    }
    settle(profile, CAPACITY);
  }

  /** Puts {@code fresh} where {@code old} of the same order is, and carries what changed to all sums. */
  static void replace(Profile profile, Basket old, Basket fresh) {
    int before = old.counts() ? 1 : 0;
    int after = fresh.counts() ? 1 : 0;
    if (old.time == fresh.time) {
      carry(profile, fresh.time, after - before, fresh.cents - old.cents);
    } else {
      carry(profile, old.time, -before, -old.cents);
      carry(profile, fresh.time, after, fresh.cents);
    }
    byte[] table = profile.baskets.clone();
    System.arraycopy(row(fresh), 0, table, Packed.place(table, SIZE, fresh.order), SIZE);
    profile.baskets = table;
    if (old.time != fresh.time) {
      sort(profile);
    }
  }

  /** Moves the oldest baskets into the sums until so many are left. */
  static void settle(Profile profile, int capacity) {
    byte[] table = profile.baskets;
    profile.baskets = Packed.last(table, SIZE, capacity);
    for (int at = 0; at < table.length - profile.baskets.length; at += SIZE) {
      Basket basket = basketAt(table, at);
      if (basket.counts()) {
        settleTime(profile, basket.time);
      }
      if (basket.cents != 0) {
        book(profile, basket.time, basket.cents);
      }
    }
  }

  private static void book(Profile profile, long time, long cents) {
    Map<Integer, Long> buckets = new TreeMap<>();
    byte[] table = profile.settledRevenue;
    for (int at = 0; at < table.length; at += BUCKET_SIZE) {
      int number = (short) Packed.SHORT.get(table, at) & 0xffff;
      buckets.put(number, (long) Packed.LONG.get(table, at + BUCKET_CENTS_AT));
    }
    buckets.merge((int) (time / BUCKET_MS), cents, Long::sum);
    long oldest = profile.lastTime / BUCKET_MS - BUCKETS_KEPT;
    buckets.entrySet().removeIf(bucket -> bucket.getKey() < oldest || bucket.getValue() == 0);
    byte[] booked = new byte[buckets.size() * BUCKET_SIZE];
    int at = 0;
    for (Map.Entry<Integer, Long> bucket : buckets.entrySet()) {
      Packed.SHORT.set(booked, at, bucket.getKey().shortValue());
      Packed.LONG.set(booked, at + BUCKET_CENTS_AT, (long) bucket.getValue());
      at += BUCKET_SIZE;
    }
    profile.settledRevenue = booked;
  }

  private static void carry(Profile profile, long time, int count, long cents) {
    if (count == 0 && cents == 0) {
      return;
    }
    double[] weights = Decay.weights(time, profile.lastTime);
    if (count != 0) {
      profile.purchaseCounts = Decay.added(profile.purchaseCounts, weights, count);
    }
    if (cents != 0) {
      profile.purchaseAmounts = Decay.added(profile.purchaseAmounts, weights, cents);
      profile.revenueCents += cents;
    }
  }

  private static void settleTime(Profile profile, long time) {
    if (profile.settledBaskets == 0) {
      profile.settledFirst = time;
      profile.settledLast = time;
    } else if (time >= profile.settledLast) {
      profile.settledGapSquares += gapSquare(profile.settledLast, time);
      profile.settledLast = time;
    } else if (time < profile.settledFirst) {
      profile.settledGapSquares += gapSquare(time, profile.settledFirst);
      profile.settledFirst = time;
    }
    profile.settledBaskets++;
  }

  private static long gapSquare(long earlier, long later) {
    long gap = later / 1000 - earlier / 1000;
    return gap * gap;
  }

  private static void sort(Profile profile) {
    profile.baskets = Packed.sorted(profile.baskets, SIZE, BY_TIME);
  }

  private static Basket basketAt(byte[] table, int at) {
    return new Basket(
        (int) Packed.INT.get(table, at),
        timeAt(table, at),
        (long) Packed.LONG.get(table, at + CENTS_AT),
        (long) Packed.LONG.get(table, at + UNITS_AT));
  }

  private static byte[] row(Basket basket) {
    byte[] row = new byte[SIZE];
    Packed.INT.set(row, 0, basket.order);
    Packed.LONG.set(row, TIME_AT, basket.time);
    Packed.LONG.set(row, CENTS_AT, basket.cents);
    Packed.LONG.set(row, UNITS_AT, basket.units);
    row[COUNTS_AT] = (byte) (basket.counts() ? 1 : 0);
    return row;
  }

  private static long timeAt(byte[] table, int at) {
    return (long) Packed.LONG.get(table, at + TIME_AT);
  }

  private Baskets() {}
}
