"""The simple job on Faust (faust-streaming), as its documentation writes agents with tables. Faust is at-least-once.

Runs in an environment of its own, which has nothing of Tidemark: see ``benchmarks.peers.environments``.
"""

import os

import faust

LAST_ITEMS = 50
JOB = {name.removeprefix("BENCH_").lower(): value for name, value in os.environ.items() if name.startswith("BENCH_")}


class Item(faust.Record, serializer="json"):
    item_id: str
    price: float = 0.0
    quantity: int = 1


class Event(faust.Record, serializer="json"):
    customer_id: str
    type: str
    items: list[Item] = []


class Customer(faust.Record, serializer="json"):
    counts: dict[str, int]
    spend: float
    items: list[str]


class Summary(faust.Record, serializer="json"):
    customer_id: str
    events: int
    spend: float
    last_item: str


app = faust.App(
    JOB["group"],
    broker=f"kafka://{JOB['bootstrap_servers']}",
    store="memory://",
    datadir=JOB["folder"],
    topic_partitions=int(JOB["partitions"]),
    broker_commit_interval=int(JOB["commit_ms"]) / 1000,
    consumer_auto_offset_reset="earliest",
)
events = app.topic(JOB["events"], key_type=str, key_serializer="raw", value_type=Event)
summaries = app.topic(JOB["summaries"], key_type=str, key_serializer="raw", value_type=Summary)
customers = app.Table("customers", default=lambda: Customer(counts={}, spend=0.0, items=[]))


@app.agent(events)
async def fold(stream: faust.Stream[Event]) -> None:
    async for event in stream:
        customer, kind = customers[event.customer_id], event.type
        customer.counts[kind] = customer.counts.get(kind, 0) + 1
        for item in event.items:
            customer.items.append(item.item_id)
            if kind == "purchase":
                customer.spend += item.price * item.quantity
        del customer.items[:-LAST_ITEMS]
        customers[event.customer_id] = customer
        if kind == "purchase":
            summary = Summary(
                customer_id=event.customer_id,
                events=sum(customer.counts.values()),
                spend=customer.spend,
                last_item=customer.items[-1],
            )
            await summaries.send(key=event.customer_id, value=summary)


if __name__ == "__main__":
    app.main()
