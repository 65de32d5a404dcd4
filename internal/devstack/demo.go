package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/internal/audiotest"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

// demoUser owns the tracks of the local stack.
var demoUser = track.ID{0xde, 0x30, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}

// demoToken makes a token of the demo user that the stack's own API lets in.
func demoToken(cfg config.Auth, life time.Duration) (string, error) {
	now := time.Now()
	claims := jwt.RegisteredClaims{
		Subject:   demoUser.String(),
		Issuer:    cfg.Issuer,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}
	if cfg.Audience != "" {
		claims.Audience = jwt.ClaimStrings{cfg.Audience}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(cfg.Secret.Reveal()))
}

// demoTracks are the titles of the tracks that a new stack begins with.
var demoTracks = []string{"Nocturne", "Étude in A", "Lullaby (demo)"}

// seed puts a few tracks on local disk, as a platform has them before it knows S3, where there is no track at all.
func (s *stack) seed(ctx context.Context, st stores) error {
	root := s.settings.api.Storage.LocalDir
	var some bool
	if err := st.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM tracks)").Scan(&some); err != nil || some {
		return err
	}
	tx, err := st.admin.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // nothing to roll back after Commit
	for i, title := range demoTracks {
		// The file first: a crash before the commit leaves a file that the next start takes over.
		name := filepath.Join("demo", title+".wav")
		content := audiotest.WAV(i+2, int64(i+1))
		if err := writeNew(filepath.Join(root, name), content); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO tracks (id, creator_id, title, file_path, file_size, format, content_type, status, storage_backend)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 'ready', 'local')`,
			track.NewTrackID(), demoUser, title, name, len(content), track.WAV, track.WAV.ContentType())
		if err != nil {
			return fmt.Errorf("seed demo tracks: %w", err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	s.say("seeded %d demo tracks in %s", len(demoTracks), root)
	return nil
}

// writeNew writes a file whole or not at all, unless it is there.
func writeNew(path string, content []byte) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, content, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
