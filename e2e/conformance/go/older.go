//go:build older

// What this version of the client cannot do yet: nobody asks it to.
package main

import (
	"context"
	"errors"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

var errCannot = errors.New("this version of the client cannot do that")

func recall(context.Context, rmq.Producer, string, string) (string, error) { return "", errCannot }

func receiptOf(receipt *rmq.SendReceipt) object { return object{"messageId": receipt.MessageID} }

func fill(*rmq.Message, saidMessage) error { return nil }

func show(*rmq.MessageView, object) {}

func litePush(said) error { return errCannot }

func subscribeLite(any, string) error { return errCannot }

func unsubscribeLite(any, string) error { return errCannot }
