import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32;
import org.bouncycastle.crypto.digests.Blake2bDigest;

/** The hashes of stream/contracts/ids.py. Items and categories are remembered; not safe for use by several threads. */
final class Hashes {
  private static final int REMEMBERED = 1 << 17;
  private static final int DIGEST_BITS = 64;

  private final Blake2bDigest blake = new Blake2bDigest(DIGEST_BITS);
  private final Map<String, Long> items = new HashMap<>();
  private final CRC32 crc = new CRC32();

  /** Unsigned 64 bits: BLAKE2b, little-endian. */
  long item(String id) {
    Long known = items.get(id);
    if (known == null) {
      if (items.size() >= REMEMBERED) {
        items.clear();
      }
      known = digest(id);
      items.put(id, known);
    }
    return known;
  }

  /** Unsigned 32 bits, never 0; 0 for no category. */
  int category(String name) {
    if (name.isEmpty()) {
      return 0;
    }
    int hash = (int) item(name);
    return hash == 0 ? 1 : hash;
  }

  /** Unsigned 32 bits: CRC-32. */
  int event(String id) {
    crc.reset();
    crc.update(id.getBytes(StandardCharsets.UTF_8));
    return (int) crc.getValue();
  }

  private long digest(String id) {
    byte[] text = id.getBytes(StandardCharsets.UTF_8);
    byte[] digest = new byte[Long.BYTES];
    blake.update(text, 0, text.length);
    blake.doFinal(digest, 0);
    return (long) Packed.LONG.get(digest, 0);
  }
}
