import java.util.Map;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.OffsetOption;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;

/** What only newer versions of the client can do: recall, priority and lite topics. */
final class Newer {
    private Newer() {}

    static Map<String, Object> recall(Producer producer, String topic, String handle) throws ClientException {
        return Driver.answer("messageId", producer.recallMessage(topic, handle).getMessageId().toString());
    }

    static String recallHandle(SendReceipt receipt) {
        return receipt.getRecallHandle();
    }

    static void fill(MessageBuilder builder, Map<String, Object> said) {
        if (said.containsKey("priority")) {
            builder.setPriority(((Long) said.get("priority")).intValue());
        }
        if (said.containsKey("liteTopic")) {
            builder.setLiteTopic((String) said.get("liteTopic"));
        }
    }

    static void show(MessageView message, Map<String, Object> view) {
        view.put("priority", message.getPriority().orElse(null));
        view.put("liteTopic", message.getLiteTopic().orElse(null));
    }

    static Object litePush(
            ClientServiceProvider provider,
            ClientConfiguration configuration,
            String group,
            String topic,
            MessageListener listener)
            throws ClientException {
        return provider.newLitePushConsumerBuilder()
                .setClientConfiguration(configuration)
                .setConsumerGroup(group)
                .bindTopic(topic)
                .setMessageListener(listener)
                .build();
    }

    static void subscribeLite(Object consumer, String liteTopic, String from) throws ClientException {
        LitePushConsumer lite = (LitePushConsumer) consumer;
        if (from == null) {
            lite.subscribeLite(liteTopic);
        } else {
            lite.subscribeLite(liteTopic, "first".equals(from) ? OffsetOption.MIN_OFFSET : OffsetOption.MAX_OFFSET);
        }
    }

    static void unsubscribeLite(Object consumer, String liteTopic) throws ClientException {
        ((LitePushConsumer) consumer).unsubscribeLite(liteTopic);
    }
}
