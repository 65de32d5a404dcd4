// Package boot reads a function's configuration and makes what surrounds its handler.
package boot

import (
	"io"
	"log"
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
	logger := config.Base{}.Logger // where the configuration is bad, nothing of it can be relied on
	if err == nil {
		logger = cfg.Logger
	}
	runtime.Log = logger(os.Stderr)
	// Libraries write plain text there, aws-lambda-go each error of a handler: JSON lines from here on.
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(runtime.Log.Handler(), slog.LevelWarn).Writer())
	return cfg, runtime, err
}
