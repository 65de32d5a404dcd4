// Package proxy gives tests a way to a server that can be cut, slowed down or blocked.
package proxy

import (
	"net/url"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// New returns a proxy before the server that target names, until the test ends, and target
// with the address of the proxy. Its Toxics are what is wrong with the way.
func New(t testing.TB, target string) (p *toxiproxy.Proxy, through string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p = toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", u.Host)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	u.Host = p.Listen
	return p, u.String()
}
