import java.math.BigDecimal;
import java.math.MathContext;

/**
 * Two to the power of x to the same last bit as the C library that Tidemark's Python calls, which Math.pow misses
 * once in a thousand: a sum from which a large part was taken back would show it. The method is that of Tang (Table-
 * driven implementation of the exponential function, ACM TOMS 15, 1989) with 128 entries and a polynomial of degree
 * five; coefficients and order of operations are those of glibc 2.36 on x86-64, without fused multiply-add.
 */
final class Exp2 {
  private static final int BITS = 7;
  private static final int ENTRIES = 1 << BITS;
  private static final double SHIFT = 0x1.8p52 / ENTRIES;
  private static final double LARGEST = 928.0;
  private static final double C1 = 0x1.62e42fefa39efp-1;
  private static final double C2 = 0x1.ebfbdff82c424p-3;
  private static final double C3 = 0x1.c6b08d70cf4b5p-5;
  private static final double C4 = 0x1.3b2abd24650ccp-7;
  private static final double C5 = 0x1.5d7e09b4e3a84p-10;

  /** Of two to the power of place / ENTRIES: its bits less those of the exponent, and the rest beyond a double. */
  private static final long[] HEADS = new long[ENTRIES];

  private static final double[] TAILS = new double[ENTRIES];

  static {
    MathContext precise = new MathContext(50);
    BigDecimal step = BigDecimal.TWO;
    for (int bit = 0; bit < BITS; bit++) {
      step = step.sqrt(precise);
    }
    BigDecimal power = BigDecimal.ONE;
    for (int place = 0; place < ENTRIES; place++) {
      double head = power.doubleValue();
      BigDecimal rounded = new BigDecimal(head);
      HEADS[place] = Double.doubleToRawLongBits(head) - ((long) place << 52 - BITS);
      TAILS[place] = power.subtract(rounded).divide(rounded, precise).doubleValue();
      power = power.multiply(step, precise);
    }
  }

  static double of(double x) {
    if (!(Math.abs(x) <= LARGEST)) {
      return Math.pow(2.0, x);
    }
    // Adding this leaves x rounded to a multiple of 1 / ENTRIES, whose number is then in the lowest bits.
    double shifted = x + SHIFT;
    long number = Double.doubleToRawLongBits(shifted);
    double rest = x - (shifted - SHIFT);
    int place = (int) number & ENTRIES - 1;
    double scale = Double.longBitsToDouble(HEADS[place] + (number << 52 - BITS));
    double square = rest * rest;
    double sum = TAILS[place] + rest * C1 + square * (C2 + rest * C3) + square * square * (C4 + rest * C5);
    return scale + scale * sum;
  }

  private Exp2() {}
}
