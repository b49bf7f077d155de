import java.time.DateTimeException;
import java.time.LocalDate;

/** RFC 3339 with offset to epoch milliseconds, rounded down, without the cost of a formatter. */
final class WireTime {
  private static final int MOST_FRACTION_DIGITS = 6;
  private static final long DAY_S = 24L * 60 * 60;

  /** Raises Refused for what is no time with an offset. */
  static long parse(String text) {
    try {
      return new WireTime(text).milliseconds();
    } catch (DateTimeException | StringIndexOutOfBoundsException error) {
      throw new Refused("wrong_shape", "time is " + text + ": send RFC 3339 with an offset, or epoch milliseconds");
    }
  }

  private final String text;
  private int at;

  private WireTime(String text) {
    this.text = text;
  }

  private long milliseconds() {
    int year = number(4, 9999);
    skip('-', '-');
    int month = number(2, 12);
    skip('-', '-');
    int day = number(2, 31);
    skip('T', 't');
    long seconds = LocalDate.of(year, month, day).toEpochDay() * DAY_S;
    seconds += number(2, 23) * 3600L;
    skip(':', ':');
    seconds += number(2, 59) * 60L;
    skip(':', ':');
    seconds += number(2, 59);
    int fraction = text.charAt(at) == '.' ? fraction() : 0;
    seconds -= offset();
    if (at != text.length()) {
      throw new DateTimeException("more than a time");
    }
    return seconds * 1000 + fraction;
  }

  /** Milliseconds. */
  private int fraction() {
    int milliseconds = 0;
    int digits = 0;
    for (at++; Character.digit(text.charAt(at), 10) >= 0; at++) {
      milliseconds = digits < 3 ? milliseconds * 10 + Character.digit(text.charAt(at), 10) : milliseconds;
      digits++;
    }
    if (digits == 0 || digits > MOST_FRACTION_DIGITS) {
      throw new DateTimeException("a fraction of " + digits + " digits");
    }
    return digits == 1 ? milliseconds * 100 : digits == 2 ? milliseconds * 10 : milliseconds;
  }

  /** Seconds. */
  private long offset() {
    char sign = text.charAt(at++);
    if (sign == 'Z' || sign == 'z') {
      return 0;
    }
    if (sign != '+' && sign != '-') {
      throw new DateTimeException("no offset");
    }
    int hours = number(2, 23);
    skip(':', ':');
    long seconds = (hours * 60L + number(2, 59)) * 60;
    return sign == '+' ? seconds : -seconds;
  }

  private int number(int digits, int most) {
    int number = 0;
    for (int end = at + digits; at < end; at++) {
      int digit = text.charAt(at) - '0';
      if (digit < 0 || digit > 9) {
        throw new DateTimeException("no digit");
      }
      number = number * 10 + digit;
    }
    if (number > most) {
      throw new DateTimeException(number + " is more than " + most);
    }
    return number;
  }

  private void skip(char wanted, char other) {
    char found = text.charAt(at++);
    if (found != wanted && found != other) {
      throw new DateTimeException("no " + wanted);
    }
  }
}
