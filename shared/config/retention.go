package config

import "time"

// Migration is how workers share the tracks.
type Migration struct {
	Lease time.Duration // how long a worker holds a track without a heartbeat
}

// migration reads and checks by rule 9.
func (l *loader) migration() Migration {
	m := Migration{Lease: get[time.Duration](l, "MIGRATE_LEASE")}
	if m.Lease < time.Second {
		l.fail("MIGRATE_LEASE", "is less than 1s", "the usual one is 2m")
	}
	return m
}

// Retention is how long things stay.
type Retention struct {
	Grace     time.Duration // replaced, rejected and deleted bytes
	UploadTTL time.Duration // multipart uploads
}

// retention reads and checks by rule 9. The grace outlasts what is still under way, so
// that clean-up never meets it; tests may set it shorter, knowing what they do.
func (l *loader) retention(m Migration) Retention {
	r := Retention{Grace: get[time.Duration](l, "STORAGE_GRACE"), UploadTTL: l.uploadTTL()}
	if r.Grace < r.UploadTTL {
		l.distrust("STORAGE_GRACE", "is shorter than UPLOAD_TTL", "bytes could go while their upload is open")
	}
	if r.Grace < m.Lease {
		l.distrust("STORAGE_GRACE", "is shorter than MIGRATE_LEASE", "bytes could go while a worker still holds their track")
	}
	return r
}
