import java.util.Map;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;

/** What this version of the client cannot do yet: nobody asks it to. */
final class Newer {
    private Newer() {}

    static Map<String, Object> recall(Producer producer, String topic, String handle) {
        throw new UnsupportedOperationException();
    }

    static String recallHandle(SendReceipt receipt) {
        return null;
    }

    static void fill(MessageBuilder builder, Map<String, Object> said) {}

    static void show(MessageView message, Map<String, Object> view) {}

    static Object litePush(
            ClientServiceProvider provider,
            ClientConfiguration configuration,
            String group,
            String topic,
            MessageListener listener) {
        throw new UnsupportedOperationException();
    }

    static void subscribeLite(Object consumer, String liteTopic, String from) {
        throw new UnsupportedOperationException();
    }

    static void unsubscribeLite(Object consumer, String liteTopic) {
        throw new UnsupportedOperationException();
    }
}
