import java.util.Comparator;
import java.util.List;

/**
 * What purchases, and returns that name their order and items, change: stream/profiles/purchases.py and returns.py. A
 * line returned before its purchase was seen waits as a row: order, item, time, quantity, cents, category.
 */
final class Orders {
  static final int PENDING_SIZE = 40;
  private static final int PENDING_CAPACITY = 8;
  private static final int ITEM_AT = 4;
  private static final int TIME_AT = 12;
  private static final int QUANTITY_AT = 20;
  private static final int CENTS_AT = 28;
  private static final int CATEGORY_AT = 36;
  private static final long NO_PRICE = -1;
  private static final Comparator<byte[]> BY_TIME =
      Comparator.<byte[]>comparingLong(row -> (long) Packed.LONG.get(row, TIME_AT))
          .thenComparing(row -> (int) Packed.INT.get(row, 0), Integer::compareUnsigned)
          .thenComparing(row -> (long) Packed.LONG.get(row, ITEM_AT), Long::compareUnsigned)
          .thenComparingDouble(row -> (double) Packed.DOUBLE.get(row, QUANTITY_AT))
          .thenComparingLong(row -> (long) Packed.LONG.get(row, CENTS_AT))
          .thenComparing(row -> (int) Packed.INT.get(row, CATEGORY_AT), Integer::compareUnsigned);

  static void buy(Profile profile, int order, long time, long by, List<Line> bought) {
    short tag = Interactions.tagOf(order);
    double weight = Categories.BOUGHT * Decay.quarterWeight(time - time % 1000, profile.lastTime);
    long cents = 0;
    long units = 0;
    for (Line line : bought) {
      cents += line.cents();
      units += line.units();
      if (line.category() != 0) {
        profile.categories = Categories.added(profile.categories, line.category(), weight);
      }
    }
    Baskets.Basket known = Baskets.find(profile, order);
    if (known == null) {
      Baskets.begin(profile, new Baskets.Basket(order, time, cents, units));
    } else {
      long earliest = Math.min(time, known.time());
      Baskets.replace(
          profile, known, new Baskets.Basket(order, earliest, known.cents() + cents, known.units() + units));
    }
    for (Line line : bought) {
      Items.interact(
          profile, Interactions.row(time, Interactions.PURCHASE, line.item(), line.quantity(), line.price(), tag));
    }
    Items.trim(profile);
    Cart.clear(profile, time, by);
    if (profile.pendingReturns.length != 0) {
      settle(profile, order);
    }
  }

  /** {@code forgetBefore}: no purchase that old can still come. */
  static void giveBack(Profile profile, int order, long time, List<Line> returned, long forgetBefore) {
    for (Line line : returned) {
      Baskets.Basket basket = Baskets.find(profile, order);
      byte[] row = rowOf(profile, order, line.item());
      long cents = line.priced() || row == null ? line.cents() : Interactions.cents(row, line.quantity());
      long boughtAt = basket == null ? time : basket.time();
      reduce(profile, basket, order, time, cents, line.units());
      if (row != null) {
        undo(profile, row, line);
      } else if (Items.holds(profile.items, line.item())) {
        profile.items = Items.takeBack(profile.items, line.item(), boughtAt - boughtAt % 1000, profile.lastTime);
      } else {
        Items.interact(profile, returnRow(line, time));
        Items.trim(profile);
        remember(profile, order, line, time, forgetBefore);
      }
    }
  }

  /** Undoes those lines of an order, of which a part was just folded, that were returned before they came. */
  private static void settle(Profile profile, int order) {
    byte[] pending = profile.pendingReturns;
    byte[] waiting = Packed.EMPTY;
    for (int at = 0; at < pending.length; at += PENDING_SIZE) {
      long item = (long) Packed.LONG.get(pending, at + ITEM_AT);
      byte[] row = (int) Packed.INT.get(pending, at) == order ? rowOf(profile, order, item) : null;
      if (row == null) {
        waiting = Packed.with(waiting, Packed.row(pending, PENDING_SIZE, at));
        continue;
      }
      long time = (long) Packed.LONG.get(pending, at + TIME_AT);
      long cents = (long) Packed.LONG.get(pending, at + CENTS_AT);
      double quantity = (double) Packed.DOUBLE.get(pending, at + QUANTITY_AT);
      int category = (int) Packed.INT.get(pending, at + CATEGORY_AT);
      boolean priced = cents != NO_PRICE;
      Line line = Line.of(item, quantity, priced ? cents : 0, priced, category);
      profile.interactions = Interactions.without(profile.interactions, returnRow(line, time));
      undo(profile, row, line);
      if (!priced) {
        reduce(profile, Baskets.find(profile, order), order, time, Interactions.cents(row, quantity), 0);
      }
    }
    profile.pendingReturns = waiting;
  }

  private static void reduce(
      Profile profile, Baskets.Basket basket, int order, long time, long cents, long units) {
    if (basket == null) {
      Baskets.begin(profile, new Baskets.Basket(order, time, -cents, -units));
    } else {
      long earliest = Math.min(basket.time(), time);
      Baskets.replace(
          profile, basket, new Baskets.Basket(order, earliest, basket.cents() - cents, basket.units() - units));
    }
  }

  /** Shrinks the row of a purchase, or takes it away with its category when nothing of it is left. */
  private static void undo(Profile profile, byte[] row, Line line) {
    profile.interactions = Interactions.without(profile.interactions, row);
    double left = Interactions.quantity(row) - HalfFloat.rounded(line.quantity());
    if (left > 0) {
      profile.interactions = Interactions.put(profile.interactions, Interactions.shrunk(row, left));
    } else if (line.category() != 0) {
      double weight = Decay.quarterWeight(Interactions.timeAt(row, 0), profile.lastTime);
      profile.categories = Categories.added(profile.categories, line.category(), -Categories.BOUGHT * weight);
    }
  }

  private static byte[] rowOf(Profile profile, int order, long item) {
    return Interactions.purchaseOf(profile.interactions, item, Interactions.tagOf(order));
  }

  private static byte[] returnRow(Line line, long time) {
    return Interactions.row(time, Interactions.RETURN, line.item(), line.quantity(), line.price(), (short) 0);
  }

  private static void remember(Profile profile, int order, Line line, long time, long forgetBefore) {
    byte[] row = new byte[PENDING_SIZE];
    Packed.INT.set(row, 0, order);
    Packed.LONG.set(row, ITEM_AT, line.item());
    Packed.LONG.set(row, TIME_AT, time);
    Packed.DOUBLE.set(row, QUANTITY_AT, line.quantity());
    Packed.LONG.set(row, CENTS_AT, line.priced() ? line.cents() : NO_PRICE);
    Packed.INT.set(row, CATEGORY_AT, line.category());
    byte[] table = Packed.EMPTY;
    for (int at = 0; at < profile.pendingReturns.length; at += PENDING_SIZE) {
      if ((long) Packed.LONG.get(profile.pendingReturns, at + TIME_AT) >= forgetBefore) {
        table = Packed.with(table, Packed.row(profile.pendingReturns, PENDING_SIZE, at));
      }
    }
    byte[] sorted = Packed.sorted(Packed.with(table, row), PENDING_SIZE, BY_TIME);
    profile.pendingReturns = Packed.last(sorted, PENDING_SIZE, PENDING_CAPACITY);
  }

  private Orders() {}
}
