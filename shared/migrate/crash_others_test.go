package migrate_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// others counts what is done in TestCrashes by nobody of trackstore's.
type others struct{ locks, saves, removals, unmounts int }

func (o others) busy() bool { return o.locks > 1 && o.saves > 1 && o.removals > 0 && o.unmounts > 1 }

// meddle does what others do to a platform: a transaction that is left open holds a row, a program saves a
// whole row as it read it a while ago, somebody removes an object, the volume goes away and comes back.
func (c *crashes) meddle(ctx context.Context) {
	random := rand.New(rand.NewPCG(5, 6))
	for n := 0; pause(ctx, time.Duration(20+random.IntN(100))*time.Millisecond); n++ {
		c.mu.Lock()
		id, done := c.tracks[random.IntN(len(c.tracks))], c.others
		c.mu.Unlock()
		wait := time.Duration(random.IntN(400)) * time.Millisecond
		switch n % 8 {
		case 0:
			if c.hold(ctx, id, wait) {
				done.locks++
			}
		case 1:
			c.unmount(ctx, wait)
			done.unmounts++
		case 2, 4, 6:
			if c.saveStale(ctx, id, wait) {
				done.saves++
			}
		default:
			if c.removeObject(ctx) {
				done.removals++
			}
		}
		c.mu.Lock()
		c.others = done
		c.mu.Unlock()
	}
}

// hold keeps a row locked by a transaction that does nothing.
func (c *crashes) hold(ctx context.Context, id track.ID, wait time.Duration) bool {
	tx, err := c.DB.Begin(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SELECT FROM tracks WHERE id = $1 FOR UPDATE`, id); err != nil {
		return false
	}
	pause(ctx, wait)
	return true
}

// saveStale saves a row of a track that is there, all its columns, as they were a while ago.
func (c *crashes) saveStale(ctx context.Context, id track.ID, wait time.Duration) bool {
	var row struct {
		Backend, Path        string
		Key, Version, Bucket *string
		FileVersion          int64
	}
	err := c.DB.QueryRow(ctx, `SELECT storage_backend, file_path, storage_key, storage_version_id, storage_bucket, file_version
		FROM tracks WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&row.Backend, &row.Path, &row.Key, &row.Version, &row.Bucket, &row.FileVersion)
	if err != nil || !pause(ctx, wait) {
		return false
	}
	tag, err := c.DB.Exec(context.WithoutCancel(ctx), `UPDATE tracks SET title = title || '.', storage_backend = $2, file_path = $3, storage_key = $4,
		storage_version_id = $5, storage_bucket = $6, file_version = $7 WHERE id = $1 AND deleted_at IS NULL AND length(title) < 200`,
		id, row.Backend, row.Path, row.Key, row.Version, row.Bucket, row.FileVersion)
	if err != nil {
		c.Error(err)
	}
	return tag.RowsAffected() == 1
}

// removeObject removes the object of some track that pins a version of it, as "aws s3 rm" does.
func (c *crashes) removeObject(ctx context.Context) bool {
	var key string
	err := c.DB.QueryRow(ctx, `SELECT storage_key FROM tracks WHERE storage_backend = 's3' AND storage_version_id IS NOT NULL
		ORDER BY random() LIMIT 1`).Scan(&key)
	if err != nil {
		if !errors.Is(err, pgx.ErrNoRows) && ctx.Err() == nil {
			c.Error(err)
		}
		return false
	}
	_, err = c.Bucket.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.Bucket.Name, Key: &key})
	if err != nil && ctx.Err() == nil {
		c.Error(err)
	}
	return err == nil
}

// unmount moves the root folder away and leaves an empty one, as a mount point is. Nothing is written there.
func (c *crashes) unmount(ctx context.Context, wait time.Duration) {
	c.mounted.Lock()
	defer c.mounted.Unlock()
	away := c.Root + ".away"
	must(c, os.Rename(c.Root, away))
	must(c, os.Mkdir(c.Root, 0o755))
	pause(ctx, wait)
	if err := os.Remove(c.Root); err != nil {
		c.Errorf("something was written below an empty mount point: %v", err)
		must(c, os.RemoveAll(c.Root))
	}
	must(c, os.Rename(away, c.Root))
}

// undoRemovals takes the delete markers off that are left: of keys that no row names now. versitygw takes
// such a key for one that is there, so that nothing could be moved to it.
func (c *crashes) undoRemovals() {
	client, in := c.Bucket.Client(), &s3.ListObjectVersionsInput{Bucket: &c.Bucket.Name}
	pages := s3.NewListObjectVersionsPaginator(client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.Context())
		if err != nil {
			c.Fatal(err)
		}
		for _, m := range page.DeleteMarkers {
			_, err := client.DeleteObject(c.Context(), &s3.DeleteObjectInput{Bucket: &c.Bucket.Name, Key: m.Key, VersionId: m.VersionId})
			must(c, err)
		}
	}
}
