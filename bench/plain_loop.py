"""The peer: what one writes in an afternoon with paho-mqtt and psycopg, one commit a message, the broker's own
acknowledgement.

It gives none of the promises (it acknowledges before it commits, loses what arrives while it restarts, doubles
on redelivery of a stock
movement), so it is measured for speed only. Run as a process: ``python -m bench.plain_loop BROKER_PORT
POSTGRES_URL``; prints one JSON line
with counts and latencies when it is told to stop (SIGTERM).
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.figures import quantiles

SCHEMA = """
CREATE TABLE IF NOT EXISTS event (agent text, boot text, stream text, seq bigint, ts timestamptz, kind text, body jsonb,
  PRIMARY KEY (agent, boot, stream, seq));
CREATE TABLE IF NOT EXISTS machine (code text PRIMARY KEY, state text, since timestamptz);
CREATE TABLE IF NOT EXISTS level (item text, place text, qty bigint, PRIMARY KEY (item, place));
TRUNCATE event, machine, level;
"""


def main(port: int, url: str) -> None:
    latencies: list[float] = []
    connection = psycopg.connect(url)
    connection.execute(SCHEMA)
    connection.commit()

    def on_message(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        fact = json.loads(message.payload)
        body = fact["body"]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO event VALUES (%s,%s,%s,%s,%s,%s,%s) ON CONFLICT DO NOTHING",
                (fact["agent"], fact["boot"], fact["stream"], fact["seq"], fact["ts"], fact["kind"], json.dumps(body)),
            )
            if fact["kind"] == "machine.state":
                cursor.execute(
                    "INSERT INTO machine VALUES (%s,%s,%s) "
                    "ON CONFLICT (code) DO UPDATE SET state=excluded.state, since=excluded.since",
                    (body["machine"], body["state"], fact["ts"]),
                )
            elif fact["kind"] == "stock.observed":
                cursor.execute(
                    "INSERT INTO level VALUES (%s,%s,%s) "
                    "ON CONFLICT (item, place) DO UPDATE SET qty=level.qty+excluded.qty",
                    (body["item"], body["place"], body["qty"]),
                )
        connection.commit()
        latencies.append((datetime.now(UTC) - datetime.fromisoformat(fact["ts"])).total_seconds() * 1000)

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = on_message
    client.on_connect = lambda c, *_: c.subscribe([("copeau/v1/+/+/facts", 1), ("copeau/v1/+/+/samples", 1)])
    client.connect("127.0.0.1", port)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    client.loop_start()
    done.wait()
    client.loop_stop()
    sys.stdout.write(json.dumps({"committed": len(latencies), **quantiles(latencies)}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
