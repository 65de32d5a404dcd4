package config_test

import (
	"slices"
	"strings"
	"testing"

	"trackstore/shared/config"
)

// Origins are compared letter by letter with what a browser sends.
func TestOriginsAreSpelledAsBrowsersDo(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"https://app.example.com":                               "https://app.example.com",
		"https://APP.example.com,https://b.example.com:443":     "https://app.example.com https://b.example.com",
		"HTTPS://app.example.com/":                              "https://app.example.com",
		"http://localhost:3000, http://localhost:80":            "http://localhost:3000 http://localhost",
		"https://a.example.com:0443,https://a.example.com":      "https://a.example.com",
		"https://a.example.com:":                                "https://a.example.com",
		"http://a.example.com:443":                              "http://a.example.com:443",
		"https://Müsik.example.com,https://音楽.example.com:8443": "https://xn--msik-0ra.example.com https://xn--66v140h.example.com:8443",
		"http://[::1]:3000,http://[2001:DB8:0:0::1]":            "http://[::1]:3000 http://[2001:db8::1]",
		"http://127.0.0.1:8080":                                 "http://127.0.0.1:8080",
		"capacitor://localhost,tauri://localhost":               "capacitor://localhost tauri://localhost",
		"https://a_b.example.com.":                              "https://a_b.example.com.",
		"*":                                                     "*",
	} {
		cfg, err := config.Load[config.PresignUpload](production.with("CORS_ALLOWED_ORIGINS", written).get)
		if got := strings.Join(cfg.Uploads.AllowedOrigins, " "); err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", written, got, want, err)
		}
	}
	for written, hint := range map[string]string{
		"https://a.example.com/app": "https://a.example.com", "https://A.example.com:443/?q=1": "https://a.example.com",
		"https://me:pw@a.example.com": "https://a.example.com", "https://a.example.com#x": "https://a.example.com",
		"a.example.com": "https://app.example.com", "https://*.example.com": "by * alone", "null": "https://app.example.com",
		"https://": "https://app.example.com", "https://a.example.com:70000": "port", "https://a b.example.com": "https://app.example.com",
		"https://a%20b.example.com": "https://app.example.com", "file:///x": "https://app.example.com", "//a.example.com": "https://app.example.com",
	} {
		_, err := config.Load[config.PresignUpload](production.with("CORS_ALLOWED_ORIGINS", written).get)
		if err == nil || !slices.Equal(problems(t, err), []string{"CORS_ALLOWED_ORIGINS 10"}) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint at %s", written, err, hint)
		}
	}
}

func TestAJWKSOfAnybodysTokensWarns(t *testing.T) {
	t.Parallel()
	keys := "https://login.example.com/keys"
	for _, test := range []struct {
		set   []string
		warns bool
	}{
		{[]string{"JWT_JWKS_URL", keys}, true},
		{[]string{"JWT_JWKS_URL", keys, "JWT_ISSUER", "x"}, false},
		{[]string{"JWT_JWKS_URL", keys, "JWT_AUDIENCE", "x"}, false},
		{nil, false},
	} {
		cfg, err := config.Load[config.PresignUpload](production.with(test.set...).get)
		if err != nil || len(cfg.Warnings) > 0 != test.warns {
			t.Errorf("%v: %v, %v", test.set, cfg.Warnings, err)
		}
	}
}
