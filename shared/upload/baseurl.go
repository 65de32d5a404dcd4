package upload

import (
	"net/http"
	"net/url"
	"strings"
)

// baseURL is where the client reached the API: its own word (Host), and that of the proxies
// before us. That a request came by https is believed of anybody: it leads nobody astray but
// the client itself. What host it was sent to is believed only of a proxy that is trusted.
func (a *api) baseURL(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil || strings.EqualFold(firstOf(r.Header.Get("X-Forwarded-Proto")), "https") {
		scheme = "https"
	}
	if a.Limits.TrustForwarded {
		forwarded := forwardedBy(r.Header.Get("Forwarded"))
		for _, named := range []string{forwarded["host"], firstOf(r.Header.Get("X-Forwarded-Host"))} {
			if isHost(named) {
				host = named
				break
			}
		}
		if proto := strings.ToLower(forwarded["proto"]); proto == "http" || proto == "https" {
			scheme = proto
		}
	}
	return scheme + "://" + host
}

// firstOf is the first of several values, which is what the outermost proxy saw.
func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first)
}

// forwardedBy reads the first element of a Forwarded header (RFC 7239).
func forwardedBy(header string) map[string]string {
	pairs := make(map[string]string)
	for pair := range strings.SplitSeq(firstOf(header), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		pairs[strings.ToLower(name)] = strings.Trim(value, `"`)
	}
	return pairs
}

func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && s != "" && u.Host == s && u.Hostname() != ""
}
