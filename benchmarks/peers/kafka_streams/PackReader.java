import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Reads the MessagePack that {@link PackWriter} writes. */
final class PackReader {
  private final ByteBuffer bytes;

  PackReader(byte[] encoded) {
    bytes = ByteBuffer.wrap(encoded);
  }

  void expect(boolean met, String found) {
    if (!met) {
      throw new IllegalStateException("before byte " + bytes.position() + " of a profile: " + found);
    }
  }

  int octet() {
    return bytes.get() & 0xff;
  }

  int array() {
    int code = octet();
    return code == 0xdc ? bytes.getShort() & 0xffff : code & 0x0f;
  }

  boolean bool() {
    return octet() == 0xc3;
  }

  double number() {
    expect(octet() == 0xcb, "no float");
    return bytes.getDouble();
  }

  long integer() {
    int code = bytes.get();
    if (code >= -32) {
      return code;
    }
    return switch (code & 0xff) {
      case 0xcc -> bytes.get() & 0xff;
      case 0xcd -> bytes.getShort() & 0xffff;
      case 0xce -> bytes.getInt() & 0xffff_ffffL;
      case 0xcf, 0xd3 -> bytes.getLong();
      case 0xd0 -> bytes.get();
      case 0xd1 -> bytes.getShort();
      case 0xd2 -> bytes.getInt();
      default -> throw new IllegalStateException("no integer at byte " + bytes.position() + " of a profile");
    };
  }

  String text() {
    int code = octet();
    return new String(raw(code < 0xc0 ? code & 0x1f : length(code - 0xd9)), StandardCharsets.UTF_8);
  }

  byte[] binary() {
    return raw(length(octet() - 0xc4));
  }

  private int length(int kind) {
    return switch (kind) {
      case 0 -> bytes.get() & 0xff;
      case 1 -> bytes.getShort() & 0xffff;
      case 2 -> bytes.getInt();
      default -> throw new IllegalStateException("no length at byte " + bytes.position() + " of a profile");
    };
  }

  private byte[] raw(int length) {
    if (length == 0) {
      return Packed.EMPTY;
    }
    byte[] value = new byte[length];
    bytes.get(value);
    return value;
  }
}
