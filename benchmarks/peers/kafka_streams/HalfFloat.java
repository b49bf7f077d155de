/** IEEE 754 binary16, rounded half to even as C and Python do; Float.floatToFloat16 needs a newer Java and a float. */
final class HalfFloat {
  static final double MAX = 65504.0;
  private static final int BIAS = 15;
  private static final int FRACTION_BITS = 10;
  private static final int LEAST_EXPONENT = 1 - BIAS;

  /** Bits of a number from 0 on; what is beyond {@link #MAX} is clipped. */
  static short bits(double value) {
    double clipped = Math.min(value, MAX);
    int exponent = Math.max(Math.getExponent(clipped), LEAST_EXPONENT);
    // The leading one of a normal number, and a carry of the rounding, add one to the exponent's bits by themselves.
    long fraction = (long) Math.rint(Math.scalb(clipped, FRACTION_BITS - exponent));
    return (short) (((long) (exponent - LEAST_EXPONENT) << FRACTION_BITS) + fraction);
  }

  static double value(short bits) {
    int exponent = bits >> FRACTION_BITS & 0x1F;
    int fraction = bits & (1 << FRACTION_BITS) - 1;
    return exponent == 0
        ? Math.scalb((double) fraction, LEAST_EXPONENT - FRACTION_BITS)
        : Math.scalb((double) (fraction | 1 << FRACTION_BITS), exponent - BIAS - FRACTION_BITS);
  }

  static double rounded(double value) {
    return value(bits(value));
  }

  private HalfFloat() {}
}
