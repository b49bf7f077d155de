"""The simple job on Quix Streams, as its documentation writes stateful operations. Runs in an environment of its own,
which has nothing of Tidemark: see ``benchmarks.peers.environments``."""

import os
from typing import Any

from quixstreams import Application
from quixstreams.state import State

LAST_ITEMS = 50
JOB = {name.removeprefix("BENCH_").lower(): value for name, value in os.environ.items() if name.startswith("BENCH_")}


def fold(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    customer = state.get("customer") or {"counts": {}, "spend": 0.0, "items": []}
    counts, items, kind = customer["counts"], customer["items"], event["type"]
    counts[kind] = counts.get(kind, 0) + 1
    for item in event.get("items", ()):
        items.append(item["item_id"])
        if kind == "purchase":
            customer["spend"] += item["price"] * item["quantity"]
    del items[:-LAST_ITEMS]
    state.set("customer", customer)
    if kind != "purchase":
        return None
    return {
        "customer_id": event["customer_id"],
        "events": sum(counts.values()),
        "spend": customer["spend"],
        "last_item": items[-1],
    }


def main() -> None:
    app = Application(
        JOB["bootstrap_servers"],
        consumer_group=JOB["group"],
        auto_offset_reset="earliest",
        commit_interval=int(JOB["commit_ms"]) / 1000,
        processing_guarantee="exactly-once",
        state_dir=JOB["folder"],
        loglevel="WARNING",
    )
    events = app.topic(JOB["events"], key_deserializer="str", value_deserializer="json")
    summaries = app.topic(JOB["summaries"], key_serializer="str", value_serializer="json")
    frame = app.dataframe(events)
    frame = frame.apply(fold, stateful=True)
    frame = frame[frame.apply(lambda summary: summary is not None)]
    frame.to_topic(summaries)
    app.run()


if __name__ == "__main__":
    main()
