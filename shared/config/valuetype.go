package config

import (
	"errors"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trackstore/shared/track"
)

// Type is how the text of a variable is read.
type Type struct {
	name   string
	secret bool
	parse  func(string) (any, error) // the error is a predicate: "is not …"
}

// String names the type in the documentation.
func (t Type) String() string { return t.name }

var (
	text     = Type{name: "text", parse: func(s string) (any, error) { return s, nil }}
	secret   = Type{name: "secret", secret: true, parse: func(s string) (any, error) { return NewSecret(s), nil }}
	flag     = Type{name: "boolean", parse: parseFlag}
	count    = Type{name: "count", parse: parseCount}
	size     = Type{name: "size", parse: parseSize}
	duration = Type{name: "duration", parse: parseDuration}
	link     = Type{name: "URL", parse: parseLink}
	list     = Type{name: "list", parse: parseList}
	table    = Type{name: "table", parse: parseTable}
	level    = Type{name: "level", parse: parseLevel}
)

func parseFlag(s string) (any, error) {
	if s != "true" && s != "false" { // not 1, yes or True: who reads the file must not have to guess
		return nil, errors.New("is neither true nor false")
	}
	return s == "true", nil
}

func parseTable(s string) (any, error) {
	t, err := track.ParseTable(s)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func parseCount(s string) (any, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return nil, errors.New("is not a whole number of at least 1")
	}
	return n, nil
}

// parseSize reads bytes: plain, or with a unit (MiB is 1024², MB 1000²).
func parseSize(s string) (any, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n < 1 || n > math.MaxInt64 {
		return nil, errors.New("is not a size of at least 1 byte")
	}
	return int64(n), nil
}

func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return nil, errors.New("is not a duration")
	}
	return d, nil
}

// parseLink reads an absolute http(s) URL without user or fragment. The reason of a failure
// stays out of the error, because url.Parse repeats the whole text in it.
func parseLink(s string) (any, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("is not an absolute http or https URL without user and fragment")
	}
	return u, nil
}

// parseList reads items between commas; spaces around them and empty ones do not count.
func parseList(s string) (any, error) {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items, nil
}

func parseLevel(s string) (any, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return nil, errors.New("is none of debug, info, warn and error")
	}
	return l, nil
}
