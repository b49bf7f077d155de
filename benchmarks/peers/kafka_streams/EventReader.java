import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Decodes the JSON of an event token by token, without a tree or reflection. Bytes that are no event give one with a
 * refusal. What is an event of Tidemark, but not ported, raises UnsupportedOperationException: the program ends.
 */
final class EventReader implements Deserializer<Event> {
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();

  private final int mostBytes;

  EventReader(Settings settings) {
    mostBytes = settings.limits().eventBytes();
  }

  @Override
  public Event deserialize(String topic, byte[] bytes) {
    Event event = new Event(bytes);
    try {
      if (bytes == null) {
        throw new Refused("not_json", "a record without a value");
      }
      if (bytes.length > mostBytes) {
        throw new Refused("too_large", bytes.length + " bytes, allowed are " + mostBytes);
      }
      read(event);
    } catch (JsonProcessingException error) {
      event.refusal = new Refused("not_json", error.getOriginalMessage());
    } catch (Refused refusal) {
      event.refusal = refusal;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    return event;
  }

  private static void read(Event event) throws IOException {
    try (JsonParser in = JSON.createParser(event.source)) {
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw wrongShape("$", "object");
      }
      boolean timed = false;
      while (in.nextToken() != JsonToken.END_OBJECT) {
        String name = in.currentName();
        JsonToken value = in.nextToken();
        switch (name) {
          case "event_id" -> event.eventId = text(in, name);
          case "type" -> event.type = type(text(in, name));
          case "time" -> {
            event.time = value == JsonToken.VALUE_NUMBER_INT ? in.getLongValue() : WireTime.parse(text(in, name));
            timed = true;
          }
          case "customer_id" -> event.customerId = text(in, name);
          case "session_id" -> event.sessionId = text(in, name);
          case "transaction_id" -> event.transactionId = text(in, name);
          case "currency" -> event.currency = text(in, name);
          case "items" -> event.items = items(in);
          case "action" -> event.carted = value != JsonToken.VALUE_NULL && putIn(text(in, name));
          case "review" -> review(in, event);
          case "engagement" -> engagement(in, event);
          case "simulated" -> event.simulated = flag(in, name);
          case "traceparent" -> event.traceparent = text(in, name);
          case "mode" -> ported(text(in, name).equals("live"), "a mode other than live");
          case "anonymous_id" -> ported(text(in, name).isEmpty(), "an anonymous visitor");
          case "consent" -> ported(value == JsonToken.VALUE_NULL, "a choice of consent");
          case "specversion" -> ported(false, "a CloudEvent");
          case "channel", "country" -> text(value, name);
          default -> in.skipChildren();
        }
      }
      if (in.nextToken() != null) {
        throw new Refused("not_json", "something behind the event");
      }
      if (event.type == null || !timed) {
        throw new Refused("missing_field", "every event needs event_id, type and time");
      }
    }
  }

  private static List<Event.Item> items(JsonParser in) throws IOException {
    if (in.currentToken() != JsonToken.START_ARRAY) {
      throw wrongShape("items", "array");
    }
    List<Event.Item> items = new ArrayList<>(1);
    while (in.nextToken() != JsonToken.END_ARRAY) {
      items.add(item(in));
    }
    return items;
  }

  private static Event.Item item(JsonParser in) throws IOException {
    startOfObject(in, "items[]");
    String itemId = "";
    String category = "";
    double price = 0.0;
    boolean priced = false;
    double quantity = 1.0;
    while (in.nextToken() != JsonToken.END_OBJECT) {
      String name = in.currentName();
      JsonToken value = in.nextToken();
      switch (name) {
        case "item_id" -> itemId = text(in, name);
        case "item_category" -> category = text(in, name);
        case "price" -> {
          priced = value != JsonToken.VALUE_NULL;
          price = priced ? number(in, name) : 0.0;
        }
        case "quantity" -> quantity = value == JsonToken.VALUE_NULL ? 1.0 : number(in, name);
        case "item_name", "item_brand", "item_variant", "item_group_id" -> text(value, name);
        case "item_category2", "item_category3", "item_category4", "item_category5" -> text(value, name);
        default -> in.skipChildren();
      }
    }
    return new Event.Item(itemId, category, price, priced, quantity);
  }

  private static void review(JsonParser in, Event event) throws IOException {
    if (in.currentToken() == JsonToken.VALUE_NULL) {
      return;
    }
    startOfObject(in, "review");
    event.reviewed = true;
    while (in.nextToken() != JsonToken.END_OBJECT) {
      String name = in.currentName();
      JsonToken value = in.nextToken();
      switch (name) {
        case "rating" -> event.rating = value == JsonToken.VALUE_NULL ? Double.NaN : number(in, name);
        case "title", "text", "language" -> text(value, name);
        default -> in.skipChildren();
      }
    }
  }

  private static void engagement(JsonParser in, Event event) throws IOException {
    if (in.currentToken() == JsonToken.VALUE_NULL) {
      return;
    }
    startOfObject(in, "engagement");
    while (in.nextToken() != JsonToken.END_OBJECT) {
      String name = in.currentName();
      JsonToken value = in.nextToken();
      switch (name) {
        case "action" -> event.message = message(text(in, name));
        case "channel" -> text(value, name);
        default -> in.skipChildren();
      }
    }
    if (event.message == null) {
      throw new Refused("missing_field", "an engagement needs action");
    }
  }

  private static Event.Type type(String name) {
    return switch (name) {
      case "browse" -> Event.Type.BROWSE;
      case "cart" -> Event.Type.CART;
      case "purchase" -> Event.Type.PURCHASE;
      case "return" -> Event.Type.RETURN;
      case "review" -> Event.Type.REVIEW;
      case "engagement" -> Event.Type.ENGAGEMENT;
      case "identify", "consent", "erase", "tick" -> throw unported("an event of type " + name);
      default -> throw new Refused("unknown_type", name);
    };
  }

  private static Event.Message message(String action) {
    return switch (action) {
      case "sent" -> Event.Message.SENT;
      case "delivered" -> Event.Message.DELIVERED;
      case "opened" -> Event.Message.OPENED;
      case "clicked" -> Event.Message.CLICKED;
      case "unsubscribed" -> throw unported("an unsubscription");
      default -> throw wrongShape("engagement.action", "known action");
    };
  }

  /** Whether a cart's action puts something in: setting does the same as adding. */
  private static boolean putIn(String action) {
    return switch (action) {
      case "add", "set" -> true;
      case "remove", "clear" -> throw unported("taking out of a cart");
      default -> throw wrongShape("action", "known action");
    };
  }

  private static void startOfObject(JsonParser in, String name) {
    if (in.currentToken() != JsonToken.START_OBJECT) {
      throw wrongShape(name, "object");
    }
  }

  private static String text(JsonParser in, String name) throws IOException {
    text(in.currentToken(), name);
    return in.getText();
  }

  /** The same for a text that nobody reads: its characters are not even decoded. */
  private static void text(JsonToken token, String name) {
    if (token != JsonToken.VALUE_STRING) {
      throw wrongShape(name, "string");
    }
  }

  private static double number(JsonParser in, String name) throws IOException {
    if (!in.currentToken().isNumeric()) {
      throw wrongShape(name, "number");
    }
    return in.getDoubleValue();
  }

  private static boolean flag(JsonParser in, String name) {
    if (!in.currentToken().isBoolean()) {
      throw wrongShape(name, "boolean");
    }
    return in.currentToken() == JsonToken.VALUE_TRUE;
  }

  private static Refused wrongShape(String name, String wanted) {
    return new Refused("wrong_shape", name + " is no " + wanted);
  }

  private static void ported(boolean is, String what) {
    if (!is) {
      throw unported(what);
    }
  }

  private static UnsupportedOperationException unported(String what) {
    return new UnsupportedOperationException(what + " is not ported: this program folds plain live events alone");
  }
}
