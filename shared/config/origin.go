package config

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// origins returns what browsers call the origins of a list, each once; what is none is reported.
func (l *loader) origins(name string) []string {
	var all []string
	for _, written := range get[[]string](l, name) {
		origin, err := canonicalOrigin(written)
		switch {
		case err != nil:
			l.fail(name, "holds "+strconv.Quote(written)+", "+err.Error(), "write origins like "+orElse(origin, "https://app.example.com"))
		case !slices.Contains(all, origin):
			all = append(all, origin)
		}
	}
	return all
}

// canonicalOrigin spells an origin as browsers do (RFC 6454, section 6.2), for it is compared
// letter by letter: in lower case, a name in punycode, no default port, nothing behind it.
// An error is a clause on what is wrong; the origin beside it, if any, is what may be meant.
func canonicalOrigin(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return "", errors.New("which is no origin")
	}
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return "", err
	}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n > 65535 {
			return "", errors.New("whose port is none")
		}
		if n != map[string]int{"http": 80, "https": 443}[u.Scheme] {
			host += ":" + strconv.Itoa(n)
		}
	}
	origin := u.Scheme + "://" + host // Parse has lowered the scheme
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return origin, errors.New("which is more than an origin")
	}
	return origin, nil
}

func canonicalHost(host string) (string, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Is6() {
			return "[" + address.String() + "]", nil
		}
		return address.String(), nil
	}
	if strings.Contains(host, "*") {
		return "", errors.New("which no browser's origin matches: name each one, or all by * alone")
	}
	if strings.ContainsFunc(host, func(c rune) bool { return c > '~' }) {
		// Package http knows how names are written in headers.
		var sent strings.Builder
		if err := (&http.Request{URL: &url.URL{Scheme: "http", Host: host}, Host: host}).Write(&sent); err != nil {
			return "", errors.New("whose host is none")
		}
		_, after, _ := strings.Cut(sent.String(), "Host: ")
		host, _, _ = strings.Cut(after, "\r\n")
	}
	host = strings.ToLower(host)
	if !isOf(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") {
		return "", errors.New("whose host is none")
	}
	return host, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
