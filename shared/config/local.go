package config

import "net/url"

// Dev configures the local stack itself. What it starts reads the other structs.
type Dev struct {
	Dir  string // of its state
	Port int    // on 127.0.0.1
}

func (c *Dev) load(l *loader) {
	c.Dir = get[string](l, "TRACKSTORE_DEV_DIR")
	c.Port = get[int](l, "PORT")
	if c.Port > 65535 {
		l.fail("PORT", "is more than 65535", "the usual one is 8080")
	}
}

// Client configures a client of the API.
type Client struct {
	URL   *url.URL
	Token Secret
}

func (c *Client) load(l *loader) {
	c.URL = l.endpoint("TRACKSTORE_URL")
	c.Token = get[Secret](l, "TRACKSTORE_TOKEN")
	if l.getenv("TRACKSTORE_URL") == "" {
		l.fail("TRACKSTORE_URL", "is not set", "the local stack writes it to .local/env")
	}
	if c.Token.IsZero() {
		l.fail("TRACKSTORE_TOKEN", "is not set", "the local stack writes it to .local/env")
	}
}
