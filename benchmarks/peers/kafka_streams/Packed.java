import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Comparator;

/** Tables of rows of one size, packed into bytes: finding, adding, taking out and sorting rows. */
final class Packed {
  static final byte[] EMPTY = {};
  static final VarHandle SHORT = little(short[].class);
  static final VarHandle INT = little(int[].class);
  static final VarHandle LONG = little(long[].class);
  static final VarHandle FLOAT = little(float[].class);
  static final VarHandle DOUBLE = little(double[].class);

  /** Where the first row begins that starts with {@code key}; -1: none does. */
  static int place(byte[] table, int size, int key) {
    for (int at = 0; at < table.length; at += size) {
      if ((int) INT.get(table, at) == key) {
        return at;
      }
    }
    return -1;
  }

  /** The same for a key of eight bytes. */
  static int place(byte[] table, int size, long key) {
    for (int at = 0; at < table.length; at += size) {
      if ((long) LONG.get(table, at) == key) {
        return at;
      }
    }
    return -1;
  }

  static byte[] with(byte[] table, byte[] row) {
    byte[] longer = Arrays.copyOf(table, table.length + row.length);
    System.arraycopy(row, 0, longer, table.length, row.length);
    return longer;
  }

  /** The table with {@code row} put in before the row at {@code at}. */
  static byte[] with(byte[] table, int at, byte[] row) {
    byte[] longer = new byte[table.length + row.length];
    System.arraycopy(table, 0, longer, 0, at);
    System.arraycopy(row, 0, longer, at, row.length);
    System.arraycopy(table, at, longer, at + row.length, table.length - at);
    return longer;
  }

  static byte[] without(byte[] table, int size, int at) {
    byte[] shorter = Arrays.copyOf(table, table.length - size);
    System.arraycopy(table, at + size, shorter, at, table.length - at - size);
    return shorter;
  }

  /** The last {@code rows} rows, or the table itself where it has no more. */
  static byte[] last(byte[] table, int size, int rows) {
    return table.length <= rows * size ? table : Arrays.copyOfRange(table, table.length - rows * size, table.length);
  }

  static byte[] row(byte[] table, int size, int at) {
    return Arrays.copyOfRange(table, at, at + size);
  }

  static byte[] sorted(byte[] table, int size, Comparator<byte[]> order) {
    byte[][] rows = new byte[table.length / size][];
    for (int number = 0; number < rows.length; number++) {
      rows[number] = row(table, size, number * size);
    }
    Arrays.sort(rows, order);
    byte[] sorted = new byte[table.length];
    for (int number = 0; number < rows.length; number++) {
      System.arraycopy(rows[number], 0, sorted, number * size, size);
    }
    return sorted;
  }

  private static VarHandle little(Class<?> type) {
    return MethodHandles.byteArrayViewVarHandle(type, ByteOrder.LITTLE_ENDIAN);
  }

  private Packed() {}
}
