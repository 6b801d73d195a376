// The driver does with the official Go client what it is told: one JSON object a line on stdin, answers and events the
// same way on stdout. What the calls mean is written in ../src/calls.ts; nothing is checked here.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

type subscription struct {
	Topic  string `json:"topic"`
	Filter string `json:"filter"`
	Kind   string `json:"kind"`
}

type saidMessage struct {
	Topic       string            `json:"topic"`
	Body        []byte            `json:"body"`
	Tag         *string           `json:"tag"`
	Keys        []string          `json:"keys"`
	Properties  map[string]string `json:"properties"`
	Group       *string           `json:"group"`
	DeliverAtMs *int64            `json:"deliverAtMs"`
	Priority    *int32            `json:"priority"`
	LiteTopic   *string           `json:"liteTopic"`
}

// What any call may say.
type said struct {
	ID            int            `json:"id"`
	Call          string         `json:"call"`
	As            string         `json:"as"`
	Topics        []string       `json:"topics"`
	Checker       string         `json:"checker"`
	Messages      []saidMessage  `json:"messages"`
	Message       saidMessage    `json:"message"`
	Async         bool           `json:"async"`
	End           string         `json:"end"`
	Topic         string         `json:"topic"`
	Handle        string         `json:"handle"`
	Group         string         `json:"group"`
	AwaitMs       int64          `json:"awaitMs"`
	Subscriptions []subscription `json:"subscriptions"`
	Max           int32          `json:"max"`
	InvisibleMs   int64          `json:"invisibleMs"`
	Ref           string         `json:"ref"`
	Ms            int64          `json:"ms"`
	Filter        string         `json:"filter"`
	Kind          string         `json:"kind"`
	Fail          map[string]int `json:"fail"`
	LiteTopic     string         `json:"liteTopic"`
}

type object = map[string]any

type closer interface{ GracefulStop() error }

var (
	endpoints string
	user      credentials.SessionCredentials
	mutex     sync.Mutex
	clients   = map[string]any{}
	held      = map[string]*rmq.MessageView{}
	printing  sync.Mutex
	out       = os.Stdout
)

func main() {
	var target struct {
		Endpoints string `json:"endpoints"`
		TLS       bool   `json:"tls"`
		AccessKey string `json:"accessKey"`
		Secret    string `json:"secret"`
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &target); err != nil {
		panic(err)
	}
	endpoints = target.Endpoints
	rmq.EnableSsl = target.TLS
	user = credentials.SessionCredentials{AccessKey: target.AccessKey, AccessSecret: target.Secret}
	os.Stdout = os.Stderr // The client's own prints must not stand between our lines.
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		go answer(line)
	}
}

func answer(line []byte) {
	var s said
	told := object{}
	if err := json.Unmarshal(line, &s); err != nil {
		panic(err)
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			told["error"] = object{"name": "panic", "message": fmt.Sprint(panicked)}
		}
		told["id"] = s.ID
		say(told)
	}()
	result, err := call(s)
	if err != nil {
		told["error"] = object{"name": fmt.Sprintf("%T", err), "message": err.Error(), "code": codeOf(err)}
		return
	}
	if result == nil {
		result = object{}
	}
	told["result"] = result
}

var codeName = regexp.MustCompile(`CODE: ([A-Z_0-9]+)`)

func codeOf(err error) *int32 {
	if status, ok := rmq.AsErrRpcStatus(err); ok {
		return &status.Code
	}
	found := codeName.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	code, ok := v2.Code_value[found[1]]
	if !ok {
		return nil
	}
	return &code
}

func say(line object) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	_, _ = out.Write(append(text, '\n'))
}

func client(as string) any {
	mutex.Lock()
	defer mutex.Unlock()
	return clients[as]
}

func keep(as string, client any) {
	mutex.Lock()
	defer mutex.Unlock()
	clients[as] = client
}

func message(ref string) *rmq.MessageView {
	mutex.Lock()
	defer mutex.Unlock()
	return held[ref]
}

func call(s said) (any, error) {
	ctx := context.Background()
	switch s.Call {
	case "producer":
		options := []rmq.ProducerOption{rmq.WithTopics(s.Topics...)}
		if s.Checker != "" {
			options = append(options, rmq.WithTransactionChecker(checker(s)))
		}
		producer, err := rmq.NewProducer(config(""), options...)
		if err != nil {
			return nil, err
		}
		keep(s.As, producer)
		return nil, producer.Start()
	case "send":
		return send(ctx, client(s.As).(rmq.Producer), s)
	case "transaction":
		return transaction(ctx, client(s.As).(rmq.Producer), s)
	case "recall":
		id, err := recall(ctx, client(s.As).(rmq.Producer), s.Topic, s.Handle)
		return object{"messageId": id}, err
	case "simple":
		consumer, err := rmq.NewSimpleConsumer(config(s.Group),
			rmq.WithSimpleAwaitDuration(time.Duration(s.AwaitMs)*time.Millisecond),
			rmq.WithSimpleSubscriptionExpressions(subscriptions(s)))
		if err != nil {
			return nil, err
		}
		keep(s.As, consumer)
		return nil, consumer.Start()
	case "receive":
		return receive(ctx, client(s.As).(rmq.SimpleConsumer), s)
	case "ack":
		return nil, client(s.As).(rmq.SimpleConsumer).Ack(ctx, message(s.Ref))
	case "invisible":
		duration := time.Duration(s.Ms) * time.Millisecond
		return nil, client(s.As).(rmq.SimpleConsumer).ChangeInvisibleDuration(message(s.Ref), duration)
	case "subscribe":
		return nil, client(s.As).(rmq.SimpleConsumer).Subscribe(s.Topic, filter(s.Filter, s.Kind))
	case "unsubscribe":
		return nil, client(s.As).(rmq.SimpleConsumer).Unsubscribe(s.Topic)
	case "push":
		return nil, push(s)
	case "litePush":
		return nil, litePush(s)
	case "subscribeLite":
		return nil, subscribeLite(client(s.As), s.LiteTopic)
	case "unsubscribeLite":
		return nil, unsubscribeLite(client(s.As), s.LiteTopic)
	case "close":
		mutex.Lock()
		closed := clients[s.As]
		delete(clients, s.As)
		mutex.Unlock()
		if closed == nil {
			return nil, nil
		}
		return nil, closed.(closer).GracefulStop()
	default:
		return nil, fmt.Errorf("no call is named %s", s.Call)
	}
}

func config(group string) *rmq.Config {
	return &rmq.Config{Endpoint: endpoints, ConsumerGroup: group, Credentials: &user}
}

func checker(s said) *rmq.TransactionChecker {
	answers := map[string]rmq.TransactionResolution{
		"commit": rmq.COMMIT, "rollback": rmq.ROLLBACK, "unknown": rmq.UNKNOWN,
	}
	return &rmq.TransactionChecker{Check: func(asked *rmq.MessageView) rmq.TransactionResolution {
		say(object{"event": "check", "as": s.As, "message": view(asked)})
		return answers[s.Checker]
	}}
}

func send(ctx context.Context, producer rmq.Producer, s said) (any, error) {
	receipts := []object{}
	type outcome struct {
		receipts []*rmq.SendReceipt
		err      error
	}
	sent := make(chan outcome, len(s.Messages))
	for _, one := range s.Messages {
		made, err := messageOf(one)
		if err != nil {
			return nil, err
		}
		if s.Async {
			producer.SendAsync(ctx, made, func(_ context.Context, receipts []*rmq.SendReceipt, err error) {
				sent <- outcome{receipts, err}
			})
			continue
		}
		got, err := producer.Send(ctx, made)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, receiptOf(got[0]))
	}
	if s.Async {
		for range s.Messages {
			got := <-sent
			if got.err != nil {
				return nil, got.err
			}
			receipts = append(receipts, receiptOf(got.receipts[0]))
		}
	}
	return object{"receipts": receipts}, nil
}

func transaction(ctx context.Context, producer rmq.Producer, s said) (any, error) {
	made, err := messageOf(s.Message)
	if err != nil {
		return nil, err
	}
	begun := producer.BeginTransaction()
	receipts, err := producer.SendWithTransaction(ctx, made, begun)
	if err != nil {
		return nil, err
	}
	switch s.End {
	case "commit":
		err = begun.Commit()
	case "rollback":
		err = begun.RollBack()
	}
	return receiptOf(receipts[0]), err
}

// This client tells of an empty poll by an error.
func receive(ctx context.Context, consumer rmq.SimpleConsumer, s said) (any, error) {
	got, err := consumer.Receive(ctx, s.Max, time.Duration(s.InvisibleMs)*time.Millisecond)
	if code := codeOfAny(err); err != nil && (code == nil || *code != int32(v2.Code_MESSAGE_NOT_FOUND)) {
		return nil, err
	}
	views := []object{}
	for _, one := range got {
		views = append(views, view(one))
	}
	return object{"messages": views}, nil
}

func codeOfAny(err error) *int32 {
	if err == nil {
		return nil
	}
	return codeOf(err)
}

func push(s said) error {
	consumer, err := rmq.NewPushConsumer(config(s.Group),
		rmq.WithPushAwaitDuration(5*time.Second),
		rmq.WithPushSubscriptionExpressions(subscriptions(s)),
		rmq.WithPushMessageListener(listener(s)))
	if err != nil {
		return err
	}
	keep(s.As, consumer)
	return consumer.Start()
}

// Fails each message as often as it was told, and then takes it.
func listener(s said) *rmq.FuncMessageListener {
	var mutex sync.Mutex
	left := s.Fail
	return &rmq.FuncMessageListener{Consume: func(m *rmq.MessageView) rmq.ConsumerResult {
		body := string(m.GetBody())
		mutex.Lock()
		failed := left[body] > 0
		if failed {
			left[body]--
		}
		mutex.Unlock()
		say(object{"event": "message", "as": s.As, "failed": failed, "message": view(m)})
		if failed {
			return rmq.FAILURE
		}
		return rmq.SUCCESS
	}}
}

func filter(expression string, kind string) *rmq.FilterExpression {
	if kind == "sql" {
		return rmq.NewFilterExpressionWithType(expression, rmq.SQL92)
	}
	return rmq.NewFilterExpressionWithType(expression, rmq.TAG)
}

func subscriptions(s said) map[string]*rmq.FilterExpression {
	found := map[string]*rmq.FilterExpression{}
	for _, one := range s.Subscriptions {
		found[one.Topic] = filter(one.Filter, one.Kind)
	}
	return found
}

func messageOf(s saidMessage) (*rmq.Message, error) {
	made := &rmq.Message{Topic: s.Topic, Body: s.Body}
	if s.Tag != nil {
		made.SetTag(*s.Tag)
	}
	if len(s.Keys) > 0 {
		made.SetKeys(s.Keys...)
	}
	for key, value := range s.Properties {
		made.AddProperty(key, value)
	}
	if s.Group != nil {
		made.SetMessageGroup(*s.Group)
	}
	if s.DeliverAtMs != nil {
		made.SetDelayTimestamp(time.UnixMilli(*s.DeliverAtMs))
	}
	return made, fill(made, s)
}

func view(m *rmq.MessageView) object {
	mutex.Lock()
	ref := "m" + strconv.Itoa(len(held))
	held[ref] = m
	mutex.Unlock()
	shown := object{
		"ref":         ref,
		"messageId":   m.GetMessageId(),
		"topic":       m.GetTopic(),
		"body":        m.GetBody(),
		"tag":         m.GetTag(),
		"keys":        append([]string{}, m.GetKeys()...),
		"properties":  m.GetProperties(),
		"group":       m.GetMessageGroup(),
		"deliverAtMs": millis(m.GetDeliveryTimestamp()),
		"bornAtMs":    millis(m.GetBornTimestamp()),
		"attempt":     m.GetDeliveryAttempt(),
		"atMs":        time.Now().UnixMilli(),
	}
	show(m, shown)
	return shown
}

func millis(moment *time.Time) *int64 {
	if moment == nil {
		return nil
	}
	ms := moment.UnixMilli()
	return &ms
}
