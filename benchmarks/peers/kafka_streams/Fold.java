import java.util.Arrays;
import java.util.List;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * Folds one plain live event into a customer's profile: stream/profiles/fold.py. Not safe for use by several
 * threads.
 */
final class Fold {
  private static final int EVENT_IDS = 256;

  private final Settings settings;
  private final Hashes hashes = new Hashes();
  private final Asking asking;
  private final Bound bound;

  /** What an event did: nothing, where it was a duplicate. */
  record Folded(Profile profile, ScoreRequest request, boolean duplicate) {}

  Fold(Settings settings, Asking asking, ProfileCodec codec) {
    this.settings = settings;
    this.asking = asking;
    this.bound = new Bound(codec);
  }

  /** Folds into {@code profile}, or into a new one where it is null. Raises Refused where it comes too late. */
  Folded fold(Profile profile, Event event, RecordMetadata origin) {
    int by = hashes.event(event.eventId);
    if (profile == null) {
      profile = new Profile(event.customerId);
      profile.firstTime = event.time;
      profile.lastTime = event.time;
    } else if (Packed.place(profile.eventIds, Bound.EVENT_ID_SIZE, by) >= 0) {
      return new Folded(profile, null, true);
    } else {
      passTime(profile, event.time);
    }
    remember(profile, by);
    Asking.note(profile, event, origin.offset());
    ScoreRequest.Trigger trigger = change(profile, event, by, Line.linesOf(event, hashes));
    bound.fit(profile);
    ScoreRequest request = trigger == null ? null : asking.consider(profile, trigger, origin, event.traceparent);
    return new Folded(profile, request, false);
  }

  private void passTime(Profile profile, long time) {
    if (time < profile.lastTime - settings.allowedLatenessMs()) {
      throw new Refused("too_late", (profile.lastTime - time) + " ms behind the customer's newest event");
    }
    if (time > profile.lastTime) {
      long eras = Decay.eras(profile.lastTime, time);
      profile.lastTime = time;
      if (eras != 0) {
        moveLandmark(profile, eras);
      }
    } else if (time < profile.firstTime) {
      profile.firstTime = time;
    }
  }

  private static void remember(Profile profile, int id) {
    byte[] ids = Arrays.copyOf(profile.eventIds, profile.eventIds.length + Bound.EVENT_ID_SIZE);
    Packed.INT.set(ids, profile.eventIds.length, id);
    profile.eventIds = Packed.last(ids, Bound.EVENT_ID_SIZE, EVENT_IDS);
  }

  /** What the event's type changes, and what it calls for. */
  private ScoreRequest.Trigger change(Profile profile, Event event, int by, List<Line> lines) {
    switch (event.type) {
      case BROWSE -> {
        return browse(profile, event.time, lines);
      }
      case CART -> {
        putIntoCart(profile, event.time, by, lines);
        return null;
      }
      case PURCHASE -> {
        profile.purchases++;
        int order = event.transactionId.isEmpty() ? by : hashes.event(event.transactionId);
        Orders.buy(profile, order, event.time, Integer.toUnsignedLong(by), lines);
        asking.listen(profile);
        return ScoreRequest.Trigger.PURCHASE;
      }
      case RETURN -> {
        profile.returns++;
        profile.returnCounts = Decay.counted(profile.returnCounts, Decay.weights(event.time, profile.lastTime));
        long forgetBefore = profile.lastTime - settings.allowedLatenessMs();
        Orders.giveBack(profile, hashes.event(event.transactionId), event.time, lines, forgetBefore);
        asking.listen(profile);
        return ScoreRequest.Trigger.RETURN;
      }
      case REVIEW -> {
        review(profile, event, lines);
        return ScoreRequest.Trigger.REVIEW;
      }
      case ENGAGEMENT -> {
        engage(profile, event);
        return null;
      }
    }
    throw new IllegalStateException("no type " + event.type);
  }

  private ScoreRequest.Trigger browse(Profile profile, long time, List<Line> lines) {
    double[] weights = Decay.weights(time, profile.lastTime);
    profile.browses++;
    profile.browseCounts = Decay.counted(profile.browseCounts, weights);
    interact(profile, time, lines, Interactions.BROWSE, Categories.BROWSED * weights[Decay.QUARTER]);
    profile.browsesSinceAsk++;
    return profile.browsesSinceAsk >= settings.browseEveryN() ? ScoreRequest.Trigger.BROWSE : null;
  }

  private static void putIntoCart(Profile profile, long time, int by, List<Line> lines) {
    double[] weights = Decay.weights(time, profile.lastTime);
    profile.cartChanges++;
    profile.cartCounts = Decay.counted(profile.cartCounts, weights);
    interact(profile, time, lines, Interactions.CART, Categories.CARTED * weights[Decay.QUARTER]);
    Cart.put(profile, lines, time, Integer.toUnsignedLong(by));
  }

  private static void interact(Profile profile, long time, List<Line> lines, int code, double part) {
    for (Line line : lines) {
      byte[] row = Interactions.row(time, code, line.item(), line.quantity(), line.price(), (short) 0);
      Items.interact(profile, row);
      if (line.category() != 0) {
        profile.categories = Categories.added(profile.categories, line.category(), part);
      }
    }
    Items.trim(profile);
  }

  private static void review(Profile profile, Event event, List<Line> lines) {
    double[] weights = Decay.weights(event.time, profile.lastTime);
    profile.reviews++;
    profile.reviewCounts = Decay.counted(profile.reviewCounts, weights);
    boolean rated = !Double.isNaN(event.rating);
    if (rated) {
      profile.ratingSum += event.rating * weights[Decay.QUARTER];
      profile.ratingWeight += weights[Decay.QUARTER];
    }
    double rating = rated ? event.rating : 0.0;
    for (Line line : lines) {
      byte[] row = Interactions.row(event.time, Interactions.REVIEW, line.item(), rating, 0.0, (short) 0);
      Items.interact(profile, row);
    }
    Items.trim(profile);
  }

  private static void engage(Profile profile, Event event) {
    switch (event.message) {
      case SENT -> profile.messagesSent++;
      case OPENED -> profile.messagesOpened++;
      case CLICKED -> profile.messagesClicked++;
      case DELIVERED -> {}
    }
    if (event.message == Event.Message.OPENED || event.message == Event.Message.CLICKED) {
      double[] weights = Decay.weights(event.time, profile.lastTime);
      profile.engagementCounts = Decay.counted(profile.engagementCounts, weights);
    }
  }

  private static void moveLandmark(Profile profile, long eras) {
    profile.browseCounts = Decay.moved(profile.browseCounts, eras);
    profile.cartCounts = Decay.moved(profile.cartCounts, eras);
    profile.purchaseCounts = Decay.moved(profile.purchaseCounts, eras);
    profile.returnCounts = Decay.moved(profile.returnCounts, eras);
    profile.reviewCounts = Decay.moved(profile.reviewCounts, eras);
    profile.engagementCounts = Decay.moved(profile.engagementCounts, eras);
    profile.purchaseAmounts = Decay.moved(profile.purchaseAmounts, eras);
    profile.ratingSum = Decay.movedQuarter(profile.ratingSum, eras);
    profile.ratingWeight = Decay.movedQuarter(profile.ratingWeight, eras);
    profile.categories = Categories.moved(profile.categories, eras);
    profile.items = Items.moved(profile.items, eras);
  }
}
