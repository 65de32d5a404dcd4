package secrets

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"strings"

	"trackstore/shared/config"
)

// databaseSecret is the JSON that RDS keeps in a secret, and what may be added to it.
type databaseSecret struct {
	Username string      `json:"username"`
	Password string      `json:"password"`
	Host     string      `json:"host"`
	Port     json.Number `json:"port"` // RDS writes a number, people write text; both are read
	DBName   string      `json:"dbname"`
	Engine   string      `json:"engine"`

	SSLMode     string `json:"sslmode"`
	SSLRootCert string `json:"sslrootcert"`
	URL         string `json:"url"`
}

// databaseURL makes a URL out of a secret's value: JSON, or a URL itself. With a base URL, the
// secret gives user and password only: the base may name a proxy in front of the
// database that the secret is about. Errors are predicates of the secret, without its value.
func databaseURL(base, value string) (string, error) {
	s := databaseSecret{URL: strings.TrimSpace(value)}
	if strings.HasPrefix(s.URL, "{") {
		s = databaseSecret{}
		if err := json.Unmarshal([]byte(value), &s); err != nil {
			return "", errors.New("is not valid JSON of the form that RDS keeps")
		}
	}
	switch {
	case base != "":
		return s.onto(base)
	case s.URL != "":
		return s.complete()
	}
	return s.build()
}

// onto puts user and password into a URL that has none.
func (s databaseSecret) onto(base string) (string, error) {
	if s.Username == "" || s.Password == "" {
		return "", errors.New("has no username or no password, and DATABASE_URL leaves them to it")
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", errors.New("cannot be put into DATABASE_URL, which is not a URL")
	}
	u.User = url.UserPassword(s.Username, s.Password)
	return u.String(), nil
}

func (s databaseSecret) complete() (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("is neither JSON nor a postgres:// URL")
	}
	return s.URL, nil
}

func (s databaseSecret) build() (string, error) {
	switch {
	case s.Engine != "" && !strings.Contains(s.Engine, "postgres"):
		return "", errors.New("is about another engine than Postgres")
	case s.Username == "" || s.Password == "":
		return "", errors.New("has no username or no password")
	case s.Host == "":
		return "", errors.New("has no host; set DATABASE_URL, without a password, beside it")
	case s.DBName == "":
		return "", errors.New("has no dbname; add it, or set DATABASE_URL, without a password, beside it")
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(s.Username, s.Password), Host: s.Host, Path: "/" + s.DBName}
	switch {
	case s.Port != "":
		u.Host = net.JoinHostPort(s.Host, s.Port.String())
	case strings.Contains(s.Host, ":"):
		u.Host = "[" + s.Host + "]"
	}
	query := url.Values{}
	if s.SSLMode == "" && !config.IsLoopback(s.Host) {
		s.SSLMode = "verify-full" // encrypted, by a server whose certificate is valid for its name
	}
	if s.SSLMode != "" {
		query.Set("sslmode", s.SSLMode)
	}
	if s.SSLRootCert != "" {
		query.Set("sslrootcert", s.SSLRootCert)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
