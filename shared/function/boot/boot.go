// Package boot reads a function's configuration and makes what surrounds its handler.
package boot

import (
	"io"
	"log/slog"
	"os"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/metrics"
)

// Runtime is what surrounds a handler.
type Runtime struct {
	Log     *slog.Logger     // JSON lines on standard error
	Metrics *metrics.Emitter // on standard output, where CloudWatch finds them
	Access  awsaccess.Loader // the credentials of the function's role
}

// Configuration is a struct of package config.
type Configuration interface {
	Logger(io.Writer) *slog.Logger
}

// Load reads a function's configuration. The Runtime can be used also where that fails.
func Load[C Configuration](getenv func(string) string, load func(func(string) string) (C, error)) (C, Runtime, error) {
	cfg, err := load(getenv)
	runtime := Runtime{
		Metrics: metrics.New(os.Stdout, getenv("AWS_LAMBDA_FUNCTION_NAME")),
		Access:  awsaccess.OfFunction(getenv),
	}
	if err != nil {
		runtime.Log = config.Base{}.Logger(os.Stderr) // nothing of cfg can be relied on
		return cfg, runtime, err
	}
	runtime.Log = cfg.Logger(os.Stderr)
	return cfg, runtime, nil
}
