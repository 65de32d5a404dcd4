package awsaccess

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Service is a service of AWS that takes JSON in a POST. It is called with the SDK's signer, and without the SDK's client
// for it: a function makes one such call, and would pay for the whole client at every cold start.
type Service struct {
	Name     string // as it is signed: secretsmanager
	Region   string
	Endpoint string // empty: that of the credentials' configuration, else AWS's own
	Access   Loader
}

// largestAnswer is more than any call of ours is answered with.
const largestAnswer = 1 << 20

// StatusError is an answer that is no success.
type StatusError struct {
	Status int
	Text   string // the beginning of the answer
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Text)
}

// Temporary reports whether the same call may succeed later.
func (e *StatusError) Temporary() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests || strings.Contains(e.Text, "Throttling")
}

// Call makes one call of the operation that target names (secretsmanager.GetSecretValue), once, and reads its answer into
// out. The error is a *StatusError where the service answered; else the call may have been carried out or not.
func (s Service) Call(ctx context.Context, target string, in, out any) error {
	cfg, err := s.Access(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	endpoint := s.Endpoint
	switch {
	case endpoint != "":
	case cfg.BaseEndpoint != nil:
		endpoint = *cfg.BaseEndpoint
	default:
		endpoint = "https://" + s.Name + "." + s.Region + "." + domain(s.Region)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("sign a call of %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), s.Name, s.Region, time.Now()); err != nil {
		return fmt.Errorf("sign a call of %s: %w", s.Name, err)
	}
	do := http.DefaultClient.Do
	if cfg.HTTPClient != nil {
		do = cfg.HTTPClient.Do
	}
	answer, err := do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largestAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return &StatusError{answer.StatusCode, string(text[:min(len(text), 300)])}
	}
	return json.Unmarshal(text, out)
}

// domain is that of a region's partition.
func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
