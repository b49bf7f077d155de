/**
 * The bytes of a profile, those of stream/profiles/codec.py: a version byte, then all fields as a MessagePack array.
 * Not safe for use by several threads.
 */
final class ProfileCodec {
  private static final int VERSION = 1;
  private static final int FIELDS = 52;
  private static final String MODE = "live";

  private final PackWriter out = new PackWriter();

  byte[] encode(Profile profile) {
    write(profile);
    return out.toByteArray();
  }

  int size(Profile profile) {
    write(profile);
    return out.size();
  }

  private void write(Profile profile) {
    out.clear();
    out.octet(VERSION);
    out.array(FIELDS);
    out.text(profile.customerId);
    out.bool(false); // anonymous
    out.integer(0); // linked_visitor
    out.integer(0); // linked_at
    out.integer(profile.firstTime);
    out.integer(profile.lastTime);
    out.integer(profile.browses);
    out.integer(profile.cartChanges);
    out.integer(profile.purchases);
    out.integer(profile.returns);
    out.integer(profile.reviews);
    out.integer(profile.messagesSent);
    out.integer(profile.messagesOpened);
    out.integer(profile.messagesClicked);
    out.binary(profile.eventIds);
    out.binary(profile.browseCounts);
    out.binary(profile.cartCounts);
    out.binary(profile.purchaseCounts);
    out.binary(profile.returnCounts);
    out.binary(profile.reviewCounts);
    out.binary(profile.engagementCounts);
    out.binary(profile.purchaseAmounts);
    out.binary(profile.baskets);
    out.binary(profile.pendingReturns);
    out.integer(profile.revenueCents);
    out.integer(profile.settledBaskets);
    out.integer(profile.settledFirst);
    out.integer(profile.settledLast);
    out.integer(profile.settledGapSquares);
    out.binary(profile.settledRevenue);
    out.binary(profile.interactions);
    out.binary(profile.items);
    out.binary(profile.categories);
    out.binary(profile.cart);
    out.integer(profile.cartClearedAt);
    out.integer(profile.cartClearedBy);
    out.number(profile.ratingSum);
    out.number(profile.ratingWeight);
    out.bool(true); // personalization
    out.integer(0); // personalization_at
    out.bool(true); // marketing
    out.integer(0); // marketing_at
    out.integer(0); // expires_at
    out.integer(profile.askedAt);
    out.integer(profile.askDue);
    out.integer(profile.silenceDue);
    out.integer(profile.silenceStep);
    out.integer(profile.browsesSinceAsk);
    out.integer(profile.firstOffset);
    out.binary(profile.evidence);
    out.bool(profile.simulated);
    out.text(MODE);
  }

  /** Raises IllegalStateException for a profile with anything that plain live events do not bring about. */
  static Profile decode(byte[] encoded) {
    PackReader in = new PackReader(encoded);
    in.expect(in.octet() == VERSION && in.array() == FIELDS, "another version");
    Profile profile = new Profile(in.text());
    in.expect(!in.bool() && in.integer() == 0 && in.integer() == 0, "an anonymous or a linked visitor");
    profile.firstTime = in.integer();
    profile.lastTime = in.integer();
    profile.browses = in.integer();
    profile.cartChanges = in.integer();
    profile.purchases = in.integer();
    profile.returns = in.integer();
    profile.reviews = in.integer();
    profile.messagesSent = in.integer();
    profile.messagesOpened = in.integer();
    profile.messagesClicked = in.integer();
    profile.eventIds = in.binary();
    profile.browseCounts = in.binary();
    profile.cartCounts = in.binary();
    profile.purchaseCounts = in.binary();
    profile.returnCounts = in.binary();
    profile.reviewCounts = in.binary();
    profile.engagementCounts = in.binary();
    profile.purchaseAmounts = in.binary();
    profile.baskets = in.binary();
    profile.pendingReturns = in.binary();
    profile.revenueCents = in.integer();
    profile.settledBaskets = in.integer();
    profile.settledFirst = in.integer();
    profile.settledLast = in.integer();
    profile.settledGapSquares = in.integer();
    profile.settledRevenue = in.binary();
    profile.interactions = in.binary();
    profile.items = in.binary();
    profile.categories = in.binary();
    profile.cart = in.binary();
    profile.cartClearedAt = in.integer();
    profile.cartClearedBy = in.integer();
    profile.ratingSum = in.number();
    profile.ratingWeight = in.number();
    in.expect(in.bool() && in.integer() == 0 && in.bool() && in.integer() == 0, "a choice of consent");
    in.expect(in.integer() == 0, "a visitor who expires");
    profile.askedAt = in.integer();
    profile.askDue = in.integer();
    profile.silenceDue = in.integer();
    profile.silenceStep = in.integer();
    profile.browsesSinceAsk = in.integer();
    profile.firstOffset = in.integer();
    profile.evidence = in.binary();
    profile.simulated = in.bool();
    in.expect(in.text().equals(MODE), "another mode");
    return profile;
  }
}
