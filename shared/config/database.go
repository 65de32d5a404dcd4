package config

import (
	"net"
	"net/url"
	"strings"

	"trackstore/shared/track"
)

// Database says where Postgres is. At least one field is set; with both, URL has no
// password and the secret supplies user and password.
type Database struct {
	URL       Secret
	SecretARN string
	Tracks    track.Table // the platform's table of tracks
}

// database reads and checks by rule 2. Nothing of the URL goes into an error.
func (l *loader) database() Database {
	d := Database{
		URL:       get[Secret](l, "DATABASE_URL"),
		SecretARN: get[string](l, "DATABASE_SECRET_ARN"),
		Tracks:    get[track.Table](l, "TRACKS_TABLE"),
	}
	if d.SecretARN != "" && !isSecretARN(d.SecretARN) {
		l.fail("DATABASE_SECRET_ARN", "is not the ARN of a secret", "it begins with arn:aws:secretsmanager:")
	}
	if d.URL.IsZero() {
		if d.SecretARN == "" {
			l.fail("DATABASE_URL", "is not set, nor is DATABASE_SECRET_ARN", "write it like "+variable("DATABASE_URL").Example)
		}
		return d
	}
	u, err := url.Parse(d.URL.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		l.fail("DATABASE_URL", "is not a postgres:// URL", "escape special characters of the password with %")
		return d
	}
	if _, has := u.User.Password(); has && d.SecretARN != "" {
		l.fail("DATABASE_URL", "has a password, and DATABASE_SECRET_ARN is set too", "keep one of the two")
	}
	switch u.Query().Get("sslmode") {
	case "require", "verify-ca", "verify-full":
	default:
		if l.strict && !IsLoopback(u.Hostname()) {
			l.warn("DATABASE_URL", "does not enforce TLS", "add sslmode=verify-full")
		}
	}
	return d
}

func isSecretARN(s string) bool {
	parts := strings.SplitN(s, ":", 7) // arn:partition:secretsmanager:region:account:secret:name
	return len(parts) == 7 && parts[0] == "arn" && parts[2] == "secretsmanager" && parts[3] != "" && parts[5] == "secret" && parts[6] != ""
}

// IsLoopback reports whether a host is this machine; no host is a unix socket.
func IsLoopback(host string) bool {
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}
