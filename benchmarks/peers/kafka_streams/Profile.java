/**
 * The rolling state of one customer, as far as plain live events change it. Fields and tables are those of
 * stream/profiles/profile.py; times are epoch milliseconds with 0 for never, amounts are cents.
 */
final class Profile {
  final String customerId;

  long firstTime;
  long lastTime;
  long browses;
  long cartChanges;
  long purchases;
  long returns;
  long reviews;
  long messagesSent;
  long messagesOpened;
  long messagesClicked;
  byte[] eventIds = Packed.EMPTY;

  byte[] browseCounts = Packed.EMPTY;
  byte[] cartCounts = Packed.EMPTY;
  byte[] purchaseCounts = Packed.EMPTY;
  byte[] returnCounts = Packed.EMPTY;
  byte[] reviewCounts = Packed.EMPTY;
  byte[] engagementCounts = Packed.EMPTY;
  byte[] purchaseAmounts = Packed.EMPTY;

  byte[] baskets = Packed.EMPTY;
  byte[] pendingReturns = Packed.EMPTY;
  long revenueCents;
  long settledBaskets;
  long settledFirst;
  long settledLast;
  long settledGapSquares;
  byte[] settledRevenue = Packed.EMPTY;

  byte[] interactions = Packed.EMPTY;
  byte[] items = Packed.EMPTY;
  byte[] categories = Packed.EMPTY;
  byte[] cart = Packed.EMPTY;
  long cartClearedAt;
  long cartClearedBy;

  double ratingSum;
  double ratingWeight;

  long askedAt;
  long askDue;
  long silenceDue;
  long silenceStep;
  long browsesSinceAsk;
  long firstOffset = -1;
  byte[] evidence = Packed.EMPTY;
  boolean simulated;

  Profile(String customerId) {
    this.customerId = customerId;
  }

  /** When it wants to be called next; 0: never. */
  long due() {
    return askDue == 0 || silenceDue != 0 && silenceDue < askDue ? silenceDue : askDue;
  }
}
