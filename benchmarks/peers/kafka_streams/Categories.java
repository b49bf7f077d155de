/** Decayed weights of the strongest categories: stream/profiles/categories.py. A row is the hash and the weight. */
final class Categories {
  static final double BROWSED = 1.0;
  static final double CARTED = 2.0;
  static final double BOUGHT = 4.0;
  private static final int CAPACITY = 12;
  private static final int SIZE = 12;
  private static final int WEIGHT_AT = 4;
  private static final double NOTHING = 1e-12;

  /** The table with {@code part} added to a category, or taken back if negative. */
  static byte[] added(byte[] table, int category, double part) {
    int at = Packed.place(table, SIZE, category);
    if (at < 0) {
      return part > 0 ? entered(table, category, part) : table;
    }
    double total = weightAt(table, at) + part;
    if (total <= NOTHING * Math.abs(part)) {
      return Packed.without(table, SIZE, at);
    }
    byte[] more = table.clone();
    Packed.DOUBLE.set(more, at + WEIGHT_AT, total);
    return more;
  }

  static byte[] moved(byte[] table, long eras) {
    return Decay.movedColumn(table, SIZE, WEIGHT_AT, eras);
  }

  /** One more category takes the place of the weakest, if it is stronger. */
  private static byte[] entered(byte[] table, int category, double part) {
    byte[] row = new byte[SIZE];
    Packed.INT.set(row, 0, category);
    Packed.DOUBLE.set(row, WEIGHT_AT, part);
    if (table.length < CAPACITY * SIZE) {
      return Packed.with(table, row);
    }
    int weakest = 0;
    for (int at = SIZE; at < table.length; at += SIZE) {
      if (weightAt(table, at) < weightAt(table, weakest)) {
        weakest = at;
      }
    }
    if (part <= weightAt(table, weakest)) {
      return table;
    }
    byte[] other = table.clone();
    System.arraycopy(row, 0, other, weakest, SIZE);
    return other;
  }

  private static double weightAt(byte[] table, int at) {
    return (double) Packed.DOUBLE.get(table, at + WEIGHT_AT);
  }

  private Categories() {}
}
