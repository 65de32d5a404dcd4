// Package resource lets a function be a custom resource of its CloudFormation stack, so that its failure fails the
// deployment, or be invoked by hand with {}.
package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"

	"trackstore/shared/function/boot"
	"trackstore/shared/function/deadline"
)

// Resource is what the stack has.
type Resource[C boot.Configuration, Out any] struct {
	ID   string // the physical id, the same for ever
	Load func(getenv func(string) string) (C, error)
	// Up creates the resource, or brings it up to date. Nothing is done where the resource is deleted.
	Up func(context.Context, C, boot.Runtime) (Out, error)
}

// Start hands r to Lambda.
func Start[C boot.Configuration, Out any](getenv func(string) string, r Resource[C, Out]) {
	lambda.Start(r.Handler(getenv))
}

// Handler answers requests. The configuration is read at each of them: at the start, nobody could be told what is wrong
// with it. An error becomes CloudFormation's FAILED; without an answer the deployment would wait for long before it fails.
func (r Resource[C, Out]) Handler(getenv func(string) string) func(context.Context, cfn.Event) (any, error) {
	return func(ctx context.Context, request cfn.Event) (any, error) {
		if request.ResponseURL == "" {
			return r.up(ctx, getenv)
		}
		return cfn.LambdaWrap(func(ctx context.Context, request cfn.Event) (string, map[string]any, error) {
			if request.RequestType == cfn.RequestDelete {
				return r.ID, nil, nil
			}
			out, err := r.up(ctx, getenv)
			return r.ID, attributes(out), err
		})(ctx, request)
	}
}

// Of the function's time answering is kept to answer CloudFormation in, and lastWords of that for Up to say why it ended.
const (
	answering = 20 * time.Second
	lastWords = 5 * time.Second
)

func (r Resource[C, Out]) up(ctx context.Context, getenv func(string) string) (out Out, err error) {
	last, cancel := deadline.Early(ctx, answering-lastWords)
	defer cancel()
	ctx, cancel = deadline.Early(ctx, answering)
	defer cancel()
	cfg, runtime, err := boot.Load(getenv, r.Load)
	if err == nil {
		out, err = until(last, func() (Out, error) { return r.Up(ctx, cfg, runtime) })
	}
	if err != nil {
		runtime.Log.ErrorContext(ctx, "the resource could not be made", "resource", r.ID, "err", err)
		return out, err
	}
	runtime.Log.InfoContext(ctx, "the resource is up to date", "resource", r.ID, "attributes", attributes(out))
	return out, nil
}

// until returns what up returns, or an error once ctx has ended: CloudFormation gets its answer also where something waits
// and heeds no context. A panic is an error too.
func until[Out any](ctx context.Context, up func() (Out, error)) (Out, error) {
	type result struct {
		out Out
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			done <- r
		}()
		r.out, r.err = up()
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		var none Out
		return none, fmt.Errorf("it was not done when the function's time was over: %w", ctx.Err())
	}
}

// attributes are the fields of out by their JSON names, for Fn::GetAtt.
func attributes(out any) map[string]any {
	var fields map[string]any
	if b, err := json.Marshal(out); err == nil {
		_ = json.Unmarshal(b, &fields) // out without fields has no attributes
	}
	return fields
}
