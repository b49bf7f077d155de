import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;

/**
 * The timers of one partition: one due time a key, in a heap with lazy deletion. Punctuators of Kafka Streams tick
 * at an interval and know no key, so that what is due at a record's time would fire too late.
 */
final class Timers {
  private static final int REBUILD_FACTOR = 4;
  private static final int FEW = 1_024;

  /** The map is the truth, the heap its index: an entry counts while the map still holds the same due time. */
  private final Map<String, Long> due = new HashMap<>();
  private PriorityQueue<Timer> heap = new PriorityQueue<>();

  record Timer(long due, String key) implements Comparable<Timer> {
    @Override
    public int compareTo(Timer other) {
      int byDue = Long.compare(due, other.due);
      return byDue != 0 ? byDue : key.compareTo(other.key);
    }
  }

  /** Due time of {@code key}; 0 when it has none. */
  long dueOf(String key) {
    return due.getOrDefault(key, 0L);
  }

  /** Sets, moves or (at 0) clears a timer. */
  void set(String key, long at) {
    if (at == 0) {
      due.remove(key);
      return;
    }
    Long before = due.put(key, at);
    if (before != null && before == at) {
      return;
    }
    heap.add(new Timer(at, key));
    if (heap.size() > REBUILD_FACTOR * due.size() + FEW) {
      heap = new PriorityQueue<>(heap.size());
      due.forEach((known, when) -> heap.add(new Timer(when, known)));
    }
  }

  /** Takes out the earliest timer that is due at {@code time}, of equal ones the first by key; null: none is. */
  Timer pop(long time) {
    for (Timer first = heap.peek(); first != null && first.due <= time; first = heap.peek()) {
      heap.poll();
      if (due.remove(first.key, first.due)) {
        return first;
      }
    }
    return null;
  }
}
