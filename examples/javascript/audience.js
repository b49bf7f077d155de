// Prints whom to write to, and whom no longer, from Tidemark's alerts:
//
//     node audience.js BROKERS [TOPIC]
//
// kafkajs reads committed records alone unless it is told otherwise. After a restart it may be given an alert again:
// the first word of a line is the id to drop it by.
const { Kafka, logLevel } = require("kafkajs");

const ENDED = new Set(["resolved", "expired", "corrected"]);
const REMEMBERED = 100000;

const [brokers, topic = "customer.alerts.v1"] = process.argv.slice(2);
if (!brokers) {
  console.error("usage: node audience.js BROKERS [TOPIC]");
  process.exit(2);
}

const kafka = new Kafka({ clientId: "audience", brokers: brokers.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: "audience-js" });
const seen = new Set();

function take(event) {
  if (seen.has(event.id)) return;
  seen.add(event.id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
  const alert = event.data;
  const word = ENDED.has(alert.status) ? "stop" : "write";
  console.log([event.id, word, alert.customer_id, alert.kind, alert.suggested_action.code].join("\t"));
}

async function main() {
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => take(JSON.parse(message.value.toString())) });
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => consumer.disconnect().then(() => process.exit(0)));
}
consumer.on(consumer.events.CRASH, ({ payload }) => {
  // It restarts by itself after what passes; what does not is somebody else's to restart.
  if (!payload.restart) process.exit(1);
});
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
