/** Keeps a customer's profile within its bound: the ladder of stream/profiles/bound.py. */
final class Bound {
  private static final int BOUND = 4096;
  private static final int SLACK = 128;
  private static final int RESERVE = 32;
  private static final int LIMIT = BOUND - RESERVE;
  private static final int SCALARS = 300;
  private static final int ID_BYTES = 4;
  static final int EVENT_ID_SIZE = 4;

  private enum Table {
    EVIDENCE,
    CART,
    ITEMS,
    EVENT_IDS,
    BASKETS,
    PENDING_RETURNS,
    INTERACTIONS
  }

  /** Rows that a table may lose: down to {@code floor}. */
  private record Rung(Table table, int floor) {}

  private static final Rung[] LADDER = {
    new Rung(Table.EVIDENCE, 4),
    new Rung(Table.CART, 8),
    new Rung(Table.ITEMS, 64),
    new Rung(Table.EVENT_IDS, 128),
    new Rung(Table.BASKETS, 8),
    new Rung(Table.ITEMS, 32),
    new Rung(Table.EVIDENCE, 1),
    new Rung(Table.PENDING_RETURNS, 4),
    new Rung(Table.INTERACTIONS, 32),
    new Rung(Table.ITEMS, 0),
    new Rung(Table.EVENT_IDS, 64)
  };

  private final ProfileCodec codec;

  Bound(ProfileCodec codec) {
    this.codec = codec;
  }

  /** Makes the profile fit. Costs a few additions while it is far from it. */
  void fit(Profile profile) {
    int atMost =
        SCALARS
            + ID_BYTES * profile.customerId.length()
            + profile.eventIds.length
            + profile.interactions.length
            + profile.items.length
            + profile.evidence.length
            + profile.baskets.length
            + profile.cart.length
            + profile.pendingReturns.length
            + profile.settledRevenue.length
            + profile.categories.length
            + profile.browseCounts.length
            + profile.cartCounts.length
            + profile.purchaseCounts.length
            + profile.returnCounts.length
            + profile.reviewCounts.length
            + profile.engagementCounts.length
            + profile.purchaseAmounts.length;
    if (atMost > LIMIT) {
      giveWay(profile);
    }
  }

  private void giveWay(Profile profile) {
    int size = codec.size(profile);
    if (size <= LIMIT) {
      return;
    }
    for (Rung rung : LADDER) {
      if (rung.table == Table.EVIDENCE) {
        Asking.dropEvidence(profile, rung.floor);
      } else {
        shorten(profile, rung, size - (LIMIT - SLACK));
      }
      size = codec.size(profile);
      if (size <= LIMIT - SLACK) {
        return;
      }
    }
  }

  private static void shorten(Profile profile, Rung rung, int surplus) {
    switch (rung.table) {
      case CART -> profile.cart = Cart.newest(profile.cart, kept(profile.cart, Cart.SIZE, rung, surplus));
      case ITEMS -> profile.items = Items.strongest(profile.items, kept(profile.items, Items.SIZE, rung, surplus));
      case EVENT_IDS -> {
        int keep = kept(profile.eventIds, EVENT_ID_SIZE, rung, surplus);
        profile.eventIds = Packed.last(profile.eventIds, EVENT_ID_SIZE, keep);
      }
      case BASKETS -> Baskets.settle(profile, kept(profile.baskets, Baskets.SIZE, rung, surplus));
      case PENDING_RETURNS -> {
        int keep = kept(profile.pendingReturns, Orders.PENDING_SIZE, rung, surplus);
        profile.pendingReturns = Packed.last(profile.pendingReturns, Orders.PENDING_SIZE, keep);
      }
      case INTERACTIONS -> {
        int keep = kept(profile.interactions, Interactions.SIZE, rung, surplus);
        if (keep < profile.interactions.length / Interactions.SIZE) {
          Items.settle(profile, keep);
        }
      }
      default -> throw new IllegalStateException("no table " + rung.table);
    }
  }

  /** How many rows a table keeps, so that it loses {@code surplus} bytes but nothing below the rung's floor. */
  private static int kept(byte[] table, int size, Rung rung, int surplus) {
    int rows = table.length / size;
    return rows > rung.floor ? Math.max(rung.floor, rows - surplus / size - 1) : rows;
  }
}
