// Makes one unary call with Go's gRPC, the message from standard input, and prints what came of it as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// rawCodec passes messages as the bytes that they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type outcome struct {
	Code         string   `json:"code"`
	Message      string   `json:"message"`
	Details      []string `json:"details"`
	RetryDelayMs int64    `json:"retryDelayMs"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: call HOST:PORT /package.Service/Method TIMEOUT")
		os.Exit(2)
	}
	result, err := call(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func call(address, method, timeout string) (outcome, error) {
	result := outcome{Details: []string{}}
	limit, err := time.ParseDuration(timeout)
	if err != nil {
		return result, err
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return result, err
	}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}), grpc.WaitForReady(true)))
	if err != nil {
		return result, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var answer []byte
	told := status.Convert(connection.Invoke(ctx, method, &message, &answer))
	result.Code, result.Message = told.Code().String(), told.Message()
	for _, detail := range told.Details() {
		result.Details = append(result.Details, fmt.Sprintf("%T", detail))
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			result.RetryDelayMs = retry.GetRetryDelay().AsDuration().Milliseconds()
		}
	}
	return result, nil
}
