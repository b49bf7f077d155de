import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Reads the MessagePack that {@link PackWriter} writes. */
final class PackReader {
  private final byte[] bytes;
  private int at;

  PackReader(byte[] encoded) {
    bytes = encoded;
  }

  void expect(boolean met, String found) {
    if (!met) {
      throw new IllegalStateException("before byte " + at + " of a profile: " + found);
    }
  }

  int octet() {
    return bytes[at++] & 0xff;
  }

  int array() {
    int code = octet();
    return code == 0xdc ? unsignedShort() : code & 0x0f;
  }

  boolean bool() {
    return octet() == 0xc3;
  }

  double number() {
    expect(octet() == 0xcb, "no float");
    return Double.longBitsToDouble(fixedLong());
  }

  long integer() {
    int code = bytes[at++];
    if (code >= -32) {
      return code;
    }
    return switch (code & 0xff) {
      case 0xcc -> octet();
      case 0xcd -> unsignedShort();
      case 0xce -> fixedInt() & 0xffff_ffffL;
      case 0xcf, 0xd3 -> fixedLong();
      case 0xd0 -> bytes[at++];
      case 0xd1 -> (short) unsignedShort();
      case 0xd2 -> fixedInt();
      default -> throw new IllegalStateException("no integer at byte " + at + " of a profile");
    };
  }

  String text() {
    int code = octet();
    int length = code < 0xc0 ? code & 0x1f : length(code - 0xd9);
    at += length;
    return new String(bytes, at - length, length, StandardCharsets.UTF_8);
  }

  byte[] binary() {
    int length = length(octet() - 0xc4);
    if (length == 0) {
      return Packed.EMPTY;
    }
    at += length;
    return Arrays.copyOfRange(bytes, at - length, at);
  }

  private int length(int kind) {
    return switch (kind) {
      case 0 -> octet();
      case 1 -> unsignedShort();
      case 2 -> fixedInt();
      default -> throw new IllegalStateException("no length at byte " + at + " of a profile");
    };
  }

  private int unsignedShort() {
    at += Short.BYTES;
    return (short) BigEndian.SHORT.get(bytes, at - Short.BYTES) & 0xffff;
  }

  private int fixedInt() {
    at += Integer.BYTES;
    return (int) BigEndian.INT.get(bytes, at - Integer.BYTES);
  }

  private long fixedLong() {
    at += Long.BYTES;
    return (long) BigEndian.LONG.get(bytes, at - Long.BYTES);
  }
}
