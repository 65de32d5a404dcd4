package config

import (
	"net/url"
	"strings"

	"trackstore/shared/track"
)

// Storage says where tracks lie.
type Storage struct {
	Backend  string // where new files go: track.Local or track.S3
	LocalDir string // root of the files on disk; it need not exist
	S3       S3
}

// S3 is the bucket. Without Enabled nothing else may be used.
type S3 struct {
	Enabled        bool
	Bucket         string
	Region         string
	Endpoint       *url.URL // nil: AWS
	PublicEndpoint *url.URL // the host of presigned URLs; nil: AWS
	ForcePathStyle bool
}

// RequireS3 is the error of a program that cannot do without S3, or nil.
func (s Storage) RequireS3() error {
	l := &loader{getenv: func(string) string { return "" }}
	l.needS3(s.S3, "tracks are moved to it and from it")
	if len(l.problems) > 0 {
		return &Error{l.problems}
	}
	return nil
}

func (l *loader) needS3(s S3, why string) {
	if !s.Enabled {
		l.fail("AWS_S3_ENABLED", "is not true, and S3 is needed: "+why, "set it, with AWS_S3_BUCKET and AWS_REGION")
	}
}

// storage reads and checks by rules 4, 5 and 11.
func (l *loader) storage() Storage {
	s := Storage{
		Backend:  get[string](l, "TRACK_STORAGE_BACKEND"),
		LocalDir: get[string](l, "TRACK_LOCAL_DIR"),
		S3: S3{
			Enabled:        get[bool](l, "AWS_S3_ENABLED"),
			Bucket:         get[string](l, "AWS_S3_BUCKET"),
			Region:         get[string](l, "AWS_REGION"),
			Endpoint:       l.endpoint("AWS_S3_ENDPOINT"),
			PublicEndpoint: l.endpoint("AWS_S3_PUBLIC_ENDPOINT"),
			ForcePathStyle: get[bool](l, "AWS_S3_FORCE_PATH_STYLE"),
		},
	}
	if s.S3.PublicEndpoint == nil {
		s.S3.PublicEndpoint = s.S3.Endpoint
	}
	if s.S3.Enabled {
		if !isBucket(s.S3.Bucket) {
			l.fail("AWS_S3_BUCKET", unsetOr(s.S3.Bucket, "is not a bucket's name"), "3 to 63 of a-z, 0-9, dot and hyphen; AWS_S3_ENABLED asks for it")
		}
		if !isRegion(s.S3.Region) {
			l.fail("AWS_REGION", unsetOr(s.S3.Region, "is not a region's name"), "write it like eu-central-1; AWS_S3_ENABLED asks for it")
		}
	}
	s.Backend = l.backend(s)
	return s
}

// backend is rule 11: production never starts with the flag on and no S3 behind it,
// or with a flag that nobody understands. Elsewhere new files then go to local disk.
func (l *loader) backend(s Storage) string {
	switch {
	case s.Backend == track.Local:
	case s.Backend != track.S3:
		l.distrust("TRACK_STORAGE_BACKEND", "is neither local nor s3", "exactly so, in lower case; outside production local is used")
	case !s.S3.Enabled:
		l.distrust("TRACK_STORAGE_BACKEND", "needs AWS_S3_ENABLED=true", "set it, with AWS_S3_BUCKET and AWS_REGION; outside production local is used")
	default:
		return track.S3
	}
	if l.strict {
		return s.Backend // refused already; nothing else is to be blamed for it
	}
	return track.Local
}

// endpoint reads a base URL that others are appended to, without a slash at its end.
func (l *loader) endpoint(name string) *url.URL {
	u := get[*url.URL](l, name)
	if u == nil {
		return nil
	}
	if u.RawQuery != "" || u.ForceQuery {
		l.fail(name, "has a query", "only scheme, host, port and path")
	}
	l.secure(name, u)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u
}

// secure asks for https in production.
func (l *loader) secure(name string, u *url.URL) {
	if l.strict && u.Scheme != "https" && !IsLoopback(u.Hostname()) {
		l.fail(name, "is not https", "production sends nothing in the clear but to itself")
	}
}

// DiskServer is the server of files on local disk, by URLs that it signs. Both fields are
// set or none is: without them the files can be read on disk but not through the API.
type DiskServer struct {
	URL    *url.URL // as clients reach it
	Secret Secret
}

// Enabled reports whether there is one.
func (d DiskServer) Enabled() bool { return d.URL != nil }

// diskServer reads and checks by rule 6.
func (l *loader) diskServer(s Storage) DiskServer {
	d := DiskServer{URL: l.endpoint("TRACK_LOCAL_URL"), Secret: get[Secret](l, "TRACK_LOCAL_SECRET")}
	switch {
	case d.URL == nil && d.Secret.IsZero():
		if s.Backend == track.Local {
			l.distrust("TRACK_LOCAL_URL", "is not set, nor is TRACK_LOCAL_SECRET, and new files go to local", "set both; until then uploads are refused")
		}
	case d.URL == nil:
		l.fail("TRACK_LOCAL_URL", "is not set, but TRACK_LOCAL_SECRET is", "they come together")
	case d.Secret.IsZero():
		l.fail("TRACK_LOCAL_SECRET", "is not set, but TRACK_LOCAL_URL is", "they come together")
	default:
		l.strong("TRACK_LOCAL_SECRET", d.Secret)
	}
	return d
}

func unsetOr(value, detail string) string {
	if value == "" {
		return "is not set"
	}
	return detail
}

func isBucket(s string) bool {
	return len(s) >= 3 && len(s) <= 63 && isOf(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") && strings.Trim(s, ".-") == s
}

func isRegion(s string) bool {
	return s != "" && isOf(s, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

func isOf(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }
