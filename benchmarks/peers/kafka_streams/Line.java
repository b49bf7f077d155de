import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One product of an event, all its lines together, as stream/profiles/lines.py makes it of events in our own
 * currency.
 */
record Line(long item, double quantity, long cents, boolean priced, double price, int category) {
  private static final double CENTS = 100;
  private static final double UNITS = 1000;

  /** Rounded half to even, as Python does. */
  static Line of(Event.Item item, Hashes hashes) {
    long cents = item.priced() ? (long) Math.rint(item.price() * item.quantity() * CENTS) : 0;
    return of(hashes.item(item.itemId()), item.quantity(), cents, item.priced(), hashes.category(item.category()));
  }

  /** A line with the price of a unit that follows from its amount. */
  static Line of(long item, double quantity, long cents, boolean priced, int category) {
    return new Line(item, quantity, cents, priced, cents == 0 ? 0.0 : cents / CENTS / quantity, category);
  }

  /** Each product once, in the order of their first lines. */
  static List<Line> linesOf(Event event, Hashes hashes) {
    List<Event.Item> items = event.items;
    if (items.isEmpty()) {
      return List.of();
    }
    if (items.size() == 1) {
      return List.of(of(items.get(0), hashes));
    }
    Map<Long, Line> found = new LinkedHashMap<>();
    for (Event.Item item : items) {
      Line line = of(item, hashes);
      found.merge(line.item, line, Line::together);
    }
    return new ArrayList<>(found.values());
  }

  /** Quantity in thousandths. */
  long units() {
    return (long) Math.rint(quantity * UNITS);
  }

  private Line together(Line other) {
    int either = category != 0 ? category : other.category;
    return of(item, quantity + other.quantity, cents + other.cents, priced || other.priced, either);
  }
}
