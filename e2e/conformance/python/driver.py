"""Does with the official Python client what it is told: one JSON object a line on stdin, answers and events the same way
on stdout. What the calls mean is written in ../src/calls.ts; nothing is checked here.
"""

import asyncio
import base64
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rocketmq import ClientConfiguration, Credentials, FilterExpression, Message, Producer, SimpleConsumer
from rocketmq.grpc_protocol import FilterType, TransactionResolution

try:
    from rocketmq import TransactionChecker
except ImportError:  # Older ones keep it in its module.
    from rocketmq.v5.producer import TransactionChecker
try:
    from rocketmq import ConsumeResult, LitePushConsumer, LiteSimpleConsumer, MessageListener, PushConsumer
except ImportError:  # Older ones have none; nobody asks them to.
    MessageListener = object

try:
    from rocketmq.v5.client.connection.rpc_client import RpcClient
except ImportError:  # Older ones keep theirs elsewhere.
    RpcClient = None

args = json.loads(sys.argv[1])
tls = args["tls"]
configuration = ClientConfiguration(args["endpoints"], Credentials(args.get("accessKey", ""), args.get("secret", "")))
filter_types = {"tag": FilterType.TAG, "sql": FilterType.SQL}
resolutions = {
    "commit": TransactionResolution.COMMIT,
    "rollback": TransactionResolution.ROLLBACK,
    "unknown": TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED,
}

clients = {}
held = {}
lock = threading.Lock()
# The client's own prints must not stand between our lines.
out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def say(line):
    text = json.dumps(line)
    with lock:
        out.write(text + "\n")
        out.flush()


def ms_of(moment):
    """Newer ones tell milliseconds, or seconds where the sender did; older ones hand out the protocol's own type."""
    if not moment:
        return None
    if hasattr(moment, "ToMilliseconds"):
        return moment.ToMilliseconds()
    return moment if moment > 10**11 else moment * 1000


def view_of(message):
    with lock:
        ref = f"m{len(held)}"
        held[ref] = message
    return {
        "ref": ref,
        "messageId": message.message_id,
        "topic": message.topic,
        "body": base64.b64encode(message.body).decode(),
        "tag": message.tag,
        "keys": list(message.keys),
        "properties": dict(message.properties),
        "group": message.message_group,
        "liteTopic": getattr(message, "lite_topic", None),
        "priority": getattr(message, "priority", None),
        "deliverAtMs": ms_of(message.delivery_timestamp),
        "bornAtMs": ms_of(message.born_timestamp),
        "attempt": message.delivery_attempt,
        "atMs": int(time.time() * 1000),
    }


def message_of(said):
    message = Message()
    message.topic = said["topic"]
    message.body = base64.b64decode(said["body"])
    if "tag" in said:
        message.tag = said["tag"]
    for key in said.get("keys", ()):
        message.keys = key
    for key, value in said.get("properties", {}).items():
        message.add_property(key, value)
    if "group" in said:
        message.message_group = said["group"]
    if "deliverAtMs" in said:
        message.delivery_timestamp = said["deliverAtMs"] // 1000
    if "priority" in said:
        message.priority = said["priority"]
    if "liteTopic" in said:
        message.lite_topic = said["liteTopic"]
    return message


def receipt_of(receipt):
    return {"messageId": receipt.message_id, "recallHandle": getattr(receipt, "recall_handle", None)}


def filter_of(said):
    return FilterExpression(said["filter"], filter_types[said["kind"]])


def subscriptions_of(said):
    return {one["topic"]: filter_of(one) for one in said}


class Checker(TransactionChecker):
    def __init__(self, name, answer):
        self.name = name
        self.answer = resolutions[answer]

    def check(self, message):
        say({"event": "check", "as": self.name, "message": view_of(message)})
        return self.answer


class Listener(MessageListener):
    """Fails each message as often as it was told, and then takes it."""

    def __init__(self, name, fail):
        self.name = name
        self.left = dict(fail)
        self.lock = threading.Lock()

    def consume(self, message):
        body = message.body.decode()
        with self.lock:
            times = self.left.get(body, 0)
            self.left[body] = times - 1
        say({"event": "message", "as": self.name, "failed": times > 0, "message": view_of(message)})
        return ConsumeResult.FAILURE if times > 0 else ConsumeResult.SUCCESS


def in_the_clients_loop():
    """The client goes on with a route in the thread that asked for it where the answer is there before it is waited for
    (seen in 5.1.2), and makes its stream there, which needs an event loop. Only a main thread has one by itself.
    """
    loop = RpcClient.get_channel_io_loop() if RpcClient else None
    if loop is not None:
        asyncio.set_event_loop(loop)


def started(name, client):
    clients[name] = client
    in_the_clients_loop()
    client.startup()
    return {}


def producer(said):
    checker = Checker(said["as"], said["checker"]) if "checker" in said else None
    return started(said["as"], Producer(configuration, said["topics"], checker, tls_enable=tls))


def send(said):
    client = clients[said["as"]]
    messages = [message_of(one) for one in said["messages"]]
    if said.get("async"):
        futures = [client.send_async(message) for message in messages]
        return {"receipts": [receipt_of(future.result()) for future in futures]}
    return {"receipts": [receipt_of(client.send(message)) for message in messages]}


def transaction(said):
    client = clients[said["as"]]
    begun = client.begin_transaction()
    receipt = client.send(message_of(said["message"]), begun)
    if said["end"] == "commit":
        begun.commit()
    if said["end"] == "rollback":
        begun.rollback()
    return {"messageId": receipt.message_id}


def recall(said):
    receipt = clients[said["as"]].recall_message(said["topic"], said["handle"])
    return {"messageId": getattr(receipt, "message_id", receipt)}


def simple(said):
    subscriptions = subscriptions_of(said["subscriptions"])
    seconds = said["awaitMs"] // 1000
    consumer = SimpleConsumer(configuration, said["group"], subscriptions, seconds, tls_enable=tls)
    return started(said["as"], consumer)


def receive(said):
    messages = clients[said["as"]].receive(said["max"], said["invisibleMs"] // 1000)
    return {"messages": [view_of(message) for message in messages or []]}


def ack(said):
    clients[said["as"]].ack(held[said["ref"]])
    return {}


def invisible(said):
    clients[said["as"]].change_invisible_duration(held[said["ref"]], said["ms"] // 1000)
    return {}


def subscribe(said):
    clients[said["as"]].subscribe(said["topic"], filter_of(said))
    return {}


def unsubscribe(said):
    clients[said["as"]].unsubscribe(said["topic"])
    return {}


def push(said):
    listener = Listener(said["as"], said["fail"])
    subscriptions = subscriptions_of(said["subscriptions"])
    consumer = PushConsumer(configuration, said["group"], listener, subscriptions, tls_enable=tls)
    return started(said["as"], consumer)


def lite_push(said):
    listener = Listener(said["as"], said["fail"])
    consumer = LitePushConsumer(configuration, said["group"], said["topic"], listener, tls_enable=tls)
    return started(said["as"], consumer)


def lite_simple(said):
    seconds = said["awaitMs"] // 1000
    consumer = LiteSimpleConsumer(said["topic"], configuration, said["group"], seconds, tls_enable=tls)
    return started(said["as"], consumer)


def subscribe_lite(said):
    clients[said["as"]].subscribe_lite(said["liteTopic"])
    return {}


def unsubscribe_lite(said):
    clients[said["as"]].unsubscribe_lite(said["liteTopic"])
    return {}


def close(said):
    client = clients.pop(said["as"], None)
    if client is not None:
        client.shutdown()
    return {}


calls = {
    "producer": producer,
    "send": send,
    "transaction": transaction,
    "recall": recall,
    "simple": simple,
    "receive": receive,
    "ack": ack,
    "invisible": invisible,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "push": push,
    "litePush": lite_push,
    "liteSimple": lite_simple,
    "subscribeLite": subscribe_lite,
    "unsubscribeLite": unsubscribe_lite,
    "close": close,
}


def answer(said):
    try:
        in_the_clients_loop()
        say({"id": said["id"], "result": calls[said["call"]](said)})
    except BaseException as error:
        name = type(error).__name__
        say({"id": said["id"], "error": {"name": name, "message": str(error), "code": getattr(error, "code", None)}})


pool = ThreadPoolExecutor(max_workers=64)
for line in sys.stdin:
    pool.submit(answer, json.loads(line))
os._exit(0)
