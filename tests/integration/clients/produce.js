// Writes each line of standard input as key and value: node produce.js BROKERS TOPIC
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const [brokers, topic] = process.argv.slice(2);

async function main() {
  const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
  const kafka = new Kafka({ clientId: "shop", brokers: brokers.split(","), logLevel: logLevel.ERROR });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic, messages: lines.map((line) => ({ key: line, value: line })) });
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
