// Package function is the door by which every Lambda function starts: it reads the configuration, opens what the handler
// needs, and hands the handler to Lambda. What goes wrong before that is one JSON line of level ERROR, and exit code 1.
package function

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"trackstore/shared/config"
	"trackstore/shared/function/boot"
	"trackstore/shared/function/deadline"
	"trackstore/shared/places"
)

// Runtime is what surrounds a handler.
type Runtime = boot.Runtime

// connections to the database are few: an instance has one event at a time, and there may be a thousand instances.
const connections = 4

// Start runs a function: load reads its configuration, and wire makes its handler of that and of the places, which are
// open by then. It returns when Lambda ends the process.
func Start[C interface {
	boot.Configuration
	Opens() config.Places
}](getenv func(string) string, load func(func(string) string) (C, error), wire func(C, *places.Places, Runtime) Handler) {
	cfg, runtime, err := boot.Load(getenv, load)
	var p *places.Places
	if err == nil {
		p, err = places.Open(context.Background(), places.Config{
			Places: cfg.Opens(), Connections: connections, Access: runtime.Access, Log: runtime.Log,
		})
	}
	if err != nil {
		runtime.Log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	lambda.Start(loud{wire(cfg, p, runtime), runtime.Log})
}

// loud logs what a handler fails with. Lambda itself writes it as plain text, or not at all, and a filter for lines of level
// ERROR would miss it.
type loud struct {
	Handler
	log *slog.Logger
}

// Invoke implements lambda.Handler.
func (l loud) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.ErrorContext(ctx, "the function failed", "request_id", requestID(ctx), "err", fmt.Sprint("panic: ", p), "stack", string(debug.Stack()))
			panic(p) // Lambda counts it, and starts the process anew
		}
	}()
	out, err := l.Handler.Invoke(ctx, event)
	if err != nil {
		l.log.ErrorContext(ctx, "the function failed", "request_id", requestID(ctx), "err", err)
	}
	return out, err
}

// requestID is Lambda's own id of the invocation.
func requestID(ctx context.Context) string {
	if of, ok := lambdacontext.FromContext(ctx); ok {
		return of.AwsRequestID
	}
	return ""
}

// Handler is what Lambda calls.
type Handler = lambda.Handler

// Handle hands events to handle, with a context that ends early enough for an answer before Lambda ends the process.
func Handle[In, Out any](handle func(context.Context, In) (Out, error)) Handler {
	return lambda.NewHandler(deadline.Ahead(handle))
}
