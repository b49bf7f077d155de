"""Keeps a table of the customers to write to now, from Tidemark's alerts. Needs confluent-kafka alone.

    python audience.py BROKERS FILE.sqlite [TOPIC]

What the table says and which alerts it has seen are changed in one transaction, and Kafka's offset is stored behind it:
killed anywhere, it goes on without an alert lost or counted twice.
"""

import json
import signal
import sqlite3
import sys

from confluent_kafka import Consumer, KafkaException

TABLES = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS audience (
    alert_id TEXT PRIMARY KEY, customer_id TEXT, kind TEXT, severity TEXT, action TEXT, expires_at TEXT
);
"""
ENDED = {"resolved", "expired", "corrected"}


def take(database: sqlite3.Connection, event: dict) -> None:
    """Take one transition in, once."""
    alert = event["data"]
    with database:
        if database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event["id"],)).rowcount == 0:
            return
        database.execute("DELETE FROM audience WHERE alert_id = ?", (alert["alert_id"],))
        if alert["status"] not in ENDED:
            database.execute(
                "INSERT INTO audience VALUES (?, ?, ?, ?, ?, ?)",
                (
                    alert["alert_id"],
                    alert["customer_id"],
                    alert["kind"],
                    alert["severity"],
                    alert["suggested_action"]["code"],
                    alert["expires_at"],
                ),
            )


def main(brokers: str, file: str, topic: str = "customer.alerts.v1") -> None:
    database = sqlite3.connect(file)
    database.executescript(TABLES)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "audience",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            # Committed in the background, but only what was stored after its effect.
            "enable.auto.offset.store": False,
        }
    )
    running = True

    def stop(*_: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    consumer.subscribe([topic])
    try:
        while running:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error() is not None:
                if message.error().retriable():
                    continue
                raise KafkaException(message.error())
            take(database, json.loads(message.value()))
            consumer.store_offsets(message)
    finally:
        consumer.close()
        database.close()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
