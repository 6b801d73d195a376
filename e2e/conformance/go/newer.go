//go:build !older

// What only newer versions of the client can do: recall, priority and lite topics.
package main

import (
	"context"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

func recall(ctx context.Context, producer rmq.Producer, topic string, handle string) (string, error) {
	return producer.Recall(ctx, topic, handle)
}

func receiptOf(receipt *rmq.SendReceipt) object {
	return object{"messageId": receipt.MessageID, "recallHandle": receipt.RecallHandle}
}

func fill(made *rmq.Message, s saidMessage) error {
	if s.LiteTopic != nil {
		made.SetLiteTopic(*s.LiteTopic)
	}
	if s.Priority != nil {
		return made.SetPriority(*s.Priority)
	}
	return nil
}

func show(m *rmq.MessageView, shown object) {
	if lite := m.GetLiteTopic(); lite != "" {
		shown["liteTopic"] = lite
	}
}

func litePush(s said) error {
	consumer, err := rmq.NewLitePushConsumer(config(s.Group),
		rmq.NewLitePushConsumerConfig(s.Topic, 30*time.Second),
		rmq.WithPushAwaitDuration(5*time.Second),
		rmq.WithPushMessageListener(listener(s)))
	if err != nil {
		return err
	}
	keep(s.As, consumer)
	return consumer.Start()
}

func subscribeLite(consumer any, liteTopic string) error {
	return consumer.(rmq.LitePushConsumer).SubscribeLite(liteTopic)
}

func unsubscribeLite(consumer any, liteTopic string) error {
	return consumer.(rmq.LitePushConsumer).UnSubscribeLite(liteTopic)
}
