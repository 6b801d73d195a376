import java.io.BufferedReader;
import java.io.Closeable;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientConfigurationBuilder;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.ProducerBuilder;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/**
 * Does with the official Java client what it is told: one JSON object a line on stdin, answers and events the same way
 * on stdout. What the calls mean is written in ../src/calls.ts; nothing is checked here.
 */
public final class Driver {
    private static final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private static final Map<String, Object> clients = new ConcurrentHashMap<>();
    private static final Map<String, MessageView> held = new ConcurrentHashMap<>();
    private static final AtomicLong refs = new AtomicLong();
    private static PrintStream out;
    private static ClientConfiguration configuration;

    private Driver() {}

    public static void main(String[] args) throws Exception {
        out = new PrintStream(System.out, false, "UTF-8");
        System.setOut(System.err); // The client's own prints must not stand between our lines.
        Map<String, Object> target = Json.object(args[0]);
        ClientConfigurationBuilder builder = ClientConfiguration.newBuilder()
                .setEndpoints((String) target.get("endpoints"))
                .enableSsl((Boolean) target.get("tls"));
        if (target.containsKey("accessKey")) {
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(
                    (String) target.get("accessKey"), (String) target.get("secret")));
        }
        configuration = builder.build();
        ExecutorService pool = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> said = Json.object(line);
            pool.execute(() -> answer(said));
        }
        Runtime.getRuntime().halt(0);
    }

    private static void answer(Map<String, Object> said) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("id", said.get("id"));
        try {
            line.put("result", call((String) said.get("call"), said));
        } catch (Throwable thrown) {
            Throwable error = thrown;
            while ((error instanceof CompletionException || error instanceof ExecutionException)
                    && error.getCause() != null) {
                error = error.getCause();
            }
            Map<String, Object> told = new LinkedHashMap<>();
            told.put("name", error.getClass().getSimpleName());
            told.put("message", messages(error));
            line.put("error", told);
        }
        say(line);
    }

    /** The protocol's code may stand in the message of a cause. */
    private static String messages(Throwable error) {
        StringBuilder all = new StringBuilder();
        for (Throwable one = error; one != null; one = one.getCause()) {
            all.append(all.length() == 0 ? "" : "; because of ").append(one.getMessage());
        }
        return all.toString();
    }

    private static void say(Map<String, Object> line) {
        String text = Json.write(line);
        synchronized (out) {
            out.print(text);
            out.print('\n');
            out.flush();
        }
    }

    private static Map<String, Object> call(String name, Map<String, Object> said) throws Exception {
        String as = (String) said.get("as");
        switch (name) {
            case "producer":
                return producer(as, said);
            case "send":
                return send((Producer) clients.get(as), said);
            case "transaction":
                return transaction((Producer) clients.get(as), said);
            case "recall":
                return Newer.recall(
                        (Producer) clients.get(as), (String) said.get("topic"), (String) said.get("handle"));
            case "simple":
                return simple(as, said);
            case "receive":
                return receive((SimpleConsumer) clients.get(as), said);
            case "ack":
                ((SimpleConsumer) clients.get(as)).ack(held.get(said.get("ref")));
                return done();
            case "invisible":
                ((SimpleConsumer) clients.get(as))
                        .changeInvisibleDuration(held.get(said.get("ref")), Duration.ofMillis((Long) said.get("ms")));
                return done();
            case "subscribe":
                ((SimpleConsumer) clients.get(as)).subscribe((String) said.get("topic"), filter(said));
                return done();
            case "unsubscribe":
                ((SimpleConsumer) clients.get(as)).unsubscribe((String) said.get("topic"));
                return done();
            case "push":
                return push(as, said);
            case "litePush":
                clients.put(
                        as,
                        Newer.litePush(
                                provider,
                                configuration,
                                (String) said.get("group"),
                                (String) said.get("topic"),
                                listener(as, said)));
                return done();
            case "subscribeLite":
                Newer.subscribeLite(
                        clients.get(as), (String) said.get("liteTopic"), (String) said.getOrDefault("from", null));
                return done();
            case "unsubscribeLite":
                Newer.unsubscribeLite(clients.get(as), (String) said.get("liteTopic"));
                return done();
            case "close":
                Closeable client = (Closeable) clients.remove(as);
                if (client != null) {
                    client.close();
                }
                return done();
            default:
                throw new IllegalArgumentException("no call is named " + name);
        }
    }

    private static Map<String, Object> producer(String as, Map<String, Object> said) throws ClientException {
        ProducerBuilder builder = provider.newProducerBuilder()
                .setClientConfiguration(configuration)
                .setTopics(Driver.<String>list(said, "topics").toArray(new String[0]));
        String answer = (String) said.get("checker");
        if (answer != null) {
            builder.setTransactionChecker(message -> {
                Map<String, Object> event = event("check", as, message);
                say(event);
                return TransactionResolution.valueOf(answer.toUpperCase());
            });
        }
        clients.put(as, builder.build());
        return done();
    }

    private static Map<String, Object> send(Producer producer, Map<String, Object> said) throws Exception {
        List<Object> receipts = new ArrayList<>();
        List<CompletableFuture<SendReceipt>> futures = new ArrayList<>();
        for (Object one : list(said, "messages")) {
            Message message = message(one);
            if (Boolean.TRUE.equals(said.get("async"))) {
                futures.add(producer.sendAsync(message));
            } else {
                receipts.add(receipt(producer.send(message)));
            }
        }
        for (CompletableFuture<SendReceipt> future : futures) {
            receipts.add(receipt(future.get()));
        }
        return answer("receipts", receipts);
    }

    private static Map<String, Object> transaction(Producer producer, Map<String, Object> said) throws Exception {
        Transaction begun = producer.beginTransaction();
        SendReceipt receipt = producer.send(message(said.get("message")), begun);
        if ("commit".equals(said.get("end"))) {
            begun.commit();
        }
        if ("rollback".equals(said.get("end"))) {
            begun.rollback();
        }
        return receipt(receipt);
    }

    private static Map<String, Object> simple(String as, Map<String, Object> said) throws ClientException {
        clients.put(
                as,
                provider.newSimpleConsumerBuilder()
                        .setClientConfiguration(configuration)
                        .setConsumerGroup((String) said.get("group"))
                        .setAwaitDuration(Duration.ofMillis((Long) said.get("awaitMs")))
                        .setSubscriptionExpressions(subscriptions(said))
                        .build());
        return done();
    }

    private static Map<String, Object> receive(SimpleConsumer consumer, Map<String, Object> said)
            throws ClientException {
        int max = ((Long) said.get("max")).intValue();
        List<Object> views = new ArrayList<>();
        for (MessageView message : consumer.receive(max, Duration.ofMillis((Long) said.get("invisibleMs")))) {
            views.add(view(message));
        }
        return answer("messages", views);
    }

    private static Map<String, Object> push(String as, Map<String, Object> said) throws ClientException {
        PushConsumer consumer = provider.newPushConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup((String) said.get("group"))
                .setSubscriptionExpressions(subscriptions(said))
                .setMessageListener(listener(as, said))
                .build();
        clients.put(as, consumer);
        return done();
    }

    /** Fails each message as often as it was told, and then takes it. */
    private static MessageListener listener(String as, Map<String, Object> said) {
        @SuppressWarnings("unchecked")
        Map<String, Long> left = new ConcurrentHashMap<>((Map<String, Long>) said.get("fail"));
        return message -> {
            String body = StandardCharsets.UTF_8.decode(message.getBody()).toString();
            boolean failed = left.getOrDefault(body, 0L) > 0;
            left.computeIfPresent(body, (ignored, times) -> times - 1);
            Map<String, Object> event = event("message", as, message);
            event.put("failed", failed);
            say(event);
            return failed ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        };
    }

    private static Map<String, FilterExpression> subscriptions(Map<String, Object> said) {
        Map<String, FilterExpression> found = new HashMap<>();
        for (Object one : list(said, "subscriptions")) {
            Map<String, Object> subscription = map(one);
            found.put((String) subscription.get("topic"), filter(subscription));
        }
        return found;
    }

    private static FilterExpression filter(Map<String, Object> said) {
        FilterExpressionType type =
                "sql".equals(said.get("kind")) ? FilterExpressionType.SQL92 : FilterExpressionType.TAG;
        return new FilterExpression((String) said.get("filter"), type);
    }

    private static Message message(Object one) {
        Map<String, Object> said = map(one);
        MessageBuilder builder = provider.newMessageBuilder()
                .setTopic((String) said.get("topic"))
                .setBody(Base64.getDecoder().decode((String) said.get("body")));
        if (said.containsKey("tag")) {
            builder.setTag((String) said.get("tag"));
        }
        if (said.containsKey("keys")) {
            builder.setKeys(Driver.<String>list(said, "keys").toArray(new String[0]));
        }
        if (said.containsKey("properties")) {
            map(said.get("properties")).forEach((key, value) -> builder.addProperty(key, (String) value));
        }
        if (said.containsKey("group")) {
            builder.setMessageGroup((String) said.get("group"));
        }
        if (said.containsKey("deliverAtMs")) {
            builder.setDeliveryTimestamp((Long) said.get("deliverAtMs"));
        }
        Newer.fill(builder, said);
        return builder.build();
    }

    private static Map<String, Object> view(MessageView message) {
        String ref = "m" + refs.incrementAndGet();
        held.put(ref, message);
        ByteBuffer body = message.getBody();
        byte[] bytes = new byte[body.remaining()];
        body.duplicate().get(bytes);
        Map<String, Object> view = new LinkedHashMap<>();
        view.put("ref", ref);
        view.put("messageId", message.getMessageId().toString());
        view.put("topic", message.getTopic());
        view.put("body", Base64.getEncoder().encodeToString(bytes));
        view.put("tag", message.getTag().orElse(null));
        view.put("keys", message.getKeys());
        view.put("properties", message.getProperties());
        view.put("group", message.getMessageGroup().orElse(null));
        view.put("deliverAtMs", message.getDeliveryTimestamp().orElse(null));
        view.put("bornAtMs", message.getBornTimestamp());
        view.put("attempt", message.getDeliveryAttempt());
        view.put("atMs", System.currentTimeMillis());
        Newer.show(message, view);
        return view;
    }

    private static Map<String, Object> receipt(SendReceipt receipt) {
        Map<String, Object> told = answer("messageId", receipt.getMessageId().toString());
        told.put("recallHandle", Newer.recallHandle(receipt));
        return told;
    }

    private static Map<String, Object> event(String kind, String as, MessageView message) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", kind);
        event.put("as", as);
        event.put("message", view(message));
        return event;
    }

    static Map<String, Object> answer(String key, Object value) {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put(key, value);
        return told;
    }

    private static Map<String, Object> done() {
        return new LinkedHashMap<>();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static <T> List<T> list(Map<String, Object> said, String key) {
        return (List<T>) said.get(key);
    }
}
