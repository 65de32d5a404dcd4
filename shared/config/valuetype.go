package config

import (
	"errors"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

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

// sizeUnits are those of parseSize, in lower case.
var sizeUnits = map[string]float64{
	"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
}

// parseSize reads bytes: plain, or with a unit (MiB is 1024², MB 1000²). It is no library's, for the tables of those are
// paid at every cold start.
func parseSize(s string) (any, error) {
	number := strings.TrimRightFunc(s, unicode.IsLetter)
	unit, known := sizeUnits[strings.ToLower(s[len(number):])]
	number = strings.ReplaceAll(strings.TrimSpace(number), ",", "")
	n, err := strconv.ParseFloat(number, 64)
	if !known || err != nil || strings.Trim(number, "0123456789.") != "" || n*unit < 1 || n*unit >= math.MaxInt64 {
		return nil, errors.New("is not a size of at least 1 byte")
	}
	return int64(n * unit), nil
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
