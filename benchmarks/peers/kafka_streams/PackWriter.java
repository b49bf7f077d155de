import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Writes MessagePack, each value in its shortest form, into a buffer that is used again. */
final class PackWriter {
  private byte[] bytes = new byte[8 * 1024];
  private int end;

  void clear() {
    end = 0;
  }

  int size() {
    return end;
  }

  byte[] toByteArray() {
    return Arrays.copyOf(bytes, end);
  }

  void octet(int value) {
    need(1);
    bytes[end++] = (byte) value;
  }

  void array(int length) {
    if (length < 16) {
      octet(0x90 | length);
    } else {
      head(0xdc, (short) length);
    }
  }

  void bool(boolean value) {
    octet(value ? 0xc3 : 0xc2);
  }

  void number(double value) {
    head(0xcb, Double.doubleToRawLongBits(value));
  }

  void integer(long value) {
    if (value >= -32 && value < 128) {
      octet((int) value);
    } else if (value >= 0) {
      if (value < 1 << 8) {
        head(0xcc, (byte) value);
      } else if (value < 1 << 16) {
        head(0xcd, (short) value);
      } else if (value < 1L << 32) {
        head(0xce, (int) value);
      } else {
        head(0xcf, value);
      }
    } else if (value >= Byte.MIN_VALUE) {
      head(0xd0, (byte) value);
    } else if (value >= Short.MIN_VALUE) {
      head(0xd1, (short) value);
    } else if (value >= Integer.MIN_VALUE) {
      head(0xd2, (int) value);
    } else {
      head(0xd3, value);
    }
  }

  void text(String value) {
    byte[] encoded = value.getBytes(StandardCharsets.UTF_8);
    if (encoded.length < 32) {
      octet(0xa0 | encoded.length);
    } else {
      sized(0xd9, encoded.length);
    }
    raw(encoded);
  }

  void binary(byte[] value) {
    sized(0xc4, value.length);
    raw(value);
  }

  /** The head of a value with a length, of whose three kinds {@code code} is the shortest. */
  private void sized(int code, int length) {
    if (length < 1 << 8) {
      head(code, (byte) length);
    } else if (length < 1 << 16) {
      head(code + 1, (short) length);
    } else {
      head(code + 2, length);
    }
  }

  private void raw(byte[] value) {
    need(value.length);
    System.arraycopy(value, 0, bytes, end, value.length);
    end += value.length;
  }

  private void head(int code, byte value) {
    octet(code);
    octet(value);
  }

  private void head(int code, short value) {
    octet(code);
    need(Short.BYTES);
    BigEndian.SHORT.set(bytes, end, value);
    end += Short.BYTES;
  }

  private void head(int code, int value) {
    octet(code);
    need(Integer.BYTES);
    BigEndian.INT.set(bytes, end, value);
    end += Integer.BYTES;
  }

  private void head(int code, long value) {
    octet(code);
    need(Long.BYTES);
    BigEndian.LONG.set(bytes, end, value);
    end += Long.BYTES;
  }

  private void need(int more) {
    if (end + more > bytes.length) {
    }
  }
}
