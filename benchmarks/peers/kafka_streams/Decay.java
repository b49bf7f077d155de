import static java.lang.Math.floorDiv;
import static java.lang.Math.floorMod;

/** Forward-decayed sums under four half-lives, relative to a landmark: the formulas of stream/profiles/decay.py. */
final class Decay {
  static final long DAY_MS = 24L * 60 * 60 * 1000;
  static final long ERA_MS = 630 * DAY_MS;

  private static final double[] HALF_LIVES = {DAY_MS, 7.0 * DAY_MS, 30.0 * DAY_MS, 90.0 * DAY_MS};
  static final int QUARTER = HALF_LIVES.length - 1;
  private static final double ROUNDING = 1e-14;
  private static final int BYTES = HALF_LIVES.length * Double.BYTES;

  /** What one part at {@code time} counts under each half-life. */
  static double[] weights(long time, long lastTime) {
    double since = time - landmark(lastTime);
    double[] weights = new double[HALF_LIVES.length];
    for (int place = 0; place < weights.length; place++) {
      weights[place] = Exp2.of(since / HALF_LIVES[place]);
    }
    return weights;
  }

  /** The same under the longest half-life alone. */
  static double quarterWeight(long time, long lastTime) {
    return Exp2.of((time - landmark(lastTime)) / HALF_LIVES[QUARTER]);
  }

  static byte[] counted(byte[] sums, double[] weights) {
    byte[] counted = new byte[BYTES];
    for (int place = 0; place < weights.length; place++) {
      int at = place * Double.BYTES;
      double before = sums.length == 0 ? 0.0 : (double) Packed.DOUBLE.get(sums, at);
      Packed.DOUBLE.set(counted, at, before + weights[place]);
    }
    return counted;
  }

  /** The sums with {@code amount} added, or taken back if negative: what is left of nothing then becomes zero. */
  static byte[] added(byte[] sums, double[] weights, double amount) {
    byte[] added = new byte[BYTES];
    for (int place = 0; place < weights.length; place++) {
      int at = place * Double.BYTES;
      double part = amount * weights[place];
      double total = part;
      if (sums.length != 0) {
        total += (double) Packed.DOUBLE.get(sums, at);
        if (amount <= 0 && Math.abs(total) <= ROUNDING * Math.abs(part)) {
          total = 0.0;
        }
      }
      Packed.DOUBLE.set(added, at, total);
    }
    return added;
  }

  /** How many landmarks lie between two times of a customer's newest event. */
  static long eras(long before, long after) {
    return floorDiv(after, ERA_MS) - floorDiv(before, ERA_MS);
  }

  static byte[] moved(byte[] sums, long eras) {
    if (sums.length == 0) {
      return sums;
    }
    byte[] moved = new byte[BYTES];
    for (int place = 0; place < HALF_LIVES.length; place++) {
      int at = place * Double.BYTES;
      Packed.DOUBLE.set(moved, at, (double) Packed.DOUBLE.get(sums, at) * eraFactor(place, eras));
    }
    return moved;
  }

  /** Column {@code at}, sums under the longest half-life, of a table, relative to a later landmark. */
  static byte[] movedColumn(byte[] table, int size, int at, long eras) {
    byte[] moved = table.clone();
    for (int row = 0; row < table.length; row += size) {
      Packed.DOUBLE.set(moved, row + at, movedQuarter((double) Packed.DOUBLE.get(table, row + at), eras));
    }
    return moved;
  }

  static double movedQuarter(double value, long eras) {
    return value * eraFactor(QUARTER, eras);
  }

  private static long landmark(long lastTime) {
    return lastTime - floorMod(lastTime, ERA_MS);
  }

  private static double eraFactor(int place, long eras) {
    return Exp2.of(-eras * ERA_MS / HALF_LIVES[place]);
  }

  private Decay() {}
}
