import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Numbers in byte arrays, the most significant byte first: as MessagePack has them, and rows that sort as bytes. */
final class BigEndian {
  static final VarHandle SHORT = of(short[].class);
  static final VarHandle INT = of(int[].class);
  static final VarHandle LONG = of(long[].class);

  private static VarHandle of(Class<?> type) {
    return MethodHandles.byteArrayViewVarHandle(type, ByteOrder.BIG_ENDIAN);
  }

  private BigEndian() {}
}
