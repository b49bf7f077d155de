/** A record that becomes a dead letter, with Tidemark's code for why. */
final class Refused extends RuntimeException {
  private static final long serialVersionUID = 1;

  final String code;

  Refused(String code, String message) {
    // Without a stack trace: a late event is no fault of the program.
    super(message, null, false, false);
    this.code = code;
  }
}
