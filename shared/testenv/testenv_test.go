package testenv_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"trackstore/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestPostgresGivesEachTestAMigratedDatabase(t *testing.T) {
	t.Parallel()
	for range 3 {
		conn, err := pgx.Connect(t.Context(), testenv.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(t.Context()) })
		var rows int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM tracks").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != 0 {
			t.Fatalf("a fresh database has %d tracks", rows)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO tracks (id, creator_id, title) VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestS3GivesEachTestAVersionedBucket(t *testing.T) {
	t.Parallel()
	b := testenv.S3(t)
	key := "a b/ü+%20?#.wav"
	for _, content := range []string{"one", "two"} {
		if _, err := b.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.Name, Key: &key, Body: bytes.NewReader([]byte(content))}); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := b.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &b.Name})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(versions.Versions); n != 2 {
		t.Fatalf("two PUTs of one key left %d versions", n)
	}
	got, err := b.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(got.Body); err != nil || string(content) != "two" {
		t.Fatalf("read %q, %v", content, err)
	}
}
