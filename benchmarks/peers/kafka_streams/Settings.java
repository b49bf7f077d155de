import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.json.JsonMapper;

/** What a deployment sets about profiles: the JSON of Tidemark's own settings, so that both fold by the same. */
@JsonIgnoreProperties(ignoreUnknown = true)
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record Settings(
    long allowedLatenessMs,
    long futureToleranceMs,
    String currency,
    Limits limits,
    long askIntervalMs,
    int browseEveryN,
    double silenceFactor,
    double silenceMinMs,
    double silenceMaxMs,
    double oneTimeSilenceMs,
    double silenceGrowth,
    long silenceStopMs) {

  /** Beyond these an event is not believed. */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Limits(int eventBytes, int items, int idLength, double price, double quantity, double amount) {}

  static Settings of(String json) {
    try {
      return JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .build()
          .readValue(json, Settings.class);
    } catch (JsonProcessingException error) {
      throw new IllegalArgumentException("settings of the profiles: " + error.getMessage(), error);
    }
  }
}
