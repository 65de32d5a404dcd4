package migrate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv/proxy"
	"trackstore/shared/audio"
	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// Connections to S3 and to the database are cut in the middle of requests and of answers,
// reset, or slow, for a while. The run gets over it or gives up; nothing is lost either way.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	toxics := map[string]string{
		"requests cut":     `{"type":"limit_data","stream":"upstream","attributes":{"bytes":30000}}`,
		"answers cut":      `{"type":"limit_data","stream":"downstream","attributes":{"bytes":2500}}`,
		"connection reset": `{"type":"reset_peer","stream":"downstream","toxicity":0.5,"attributes":{"timeout":10}}`,
		"no answer":        `{"type":"timeout","stream":"downstream","toxicity":0.3,"attributes":{"timeout":400}}`,
		"slow":             `{"type":"latency","stream":"downstream","attributes":{"latency":150,"jitter":100}}`,
	}
	for _, where := range []string{"s3", "database"} {
		for name, toxic := range toxics {
			t.Run(where+": "+name, func(t *testing.T) {
				t.Parallel()
				testNetworkFault(t, where, toxic)
			})
		}
	}
}

func testNetworkFault(t *testing.T, where, toxic string) {
	r := newRig(t)
	want := map[track.ID][]byte{}
	for i := range 40 {
		c := content(i, 20_000)
		want[r.add(fmt.Sprintf("%d.wav", i), c)] = c
	}
	large := content(99, 17<<20)
	want[r.add("large.wav", large)] = large

	endpoint, databaseURL := r.Bucket.Endpoint, r.URL
	if where == "s3" {
		endpoint = troubled(t, endpoint, toxic)
	} else {
		databaseURL = troubled(t, databaseURL, toxic)
	}
	ledger, err := pgstore.Open(t.Context(), databaseURL, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ledger.Close)
	store := r.openS3(endpoint)
	upload := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: store, Large: store, Sniff: audio.Detect})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	summary, err := runner(ledger, upload).Run(ctx, job())
	t.Logf("%+v, %v", summary, err)

	// Whatever came of it: the bytes are there, and the rest moves over a good network.
	for id, c := range want {
		if got, err := r.bytesOf(id); err != nil || string(got) != string(c) {
			t.Errorf("after the faults track %s has %d bytes, %v", id, len(got), err)
		}
	}
	if _, err := r.Store.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if summary, _ := r.run(r.upload(), job()); !summary.Done || summary.Failed+summary.Missing > 0 {
		t.Errorf("the run after it: %+v", summary)
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
	}
	r.settled()
}

// troubled returns target with the address of a proxy before it, which has a toxic for the
// next one and a half seconds.
func troubled(t *testing.T, target, toxic string) string {
	t.Helper()
	p, through := proxy.New(t, target)
	added, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
	if err != nil {
		t.Fatal(err)
	}
	heal := time.AfterFunc(1500*time.Millisecond, func() {
		_ = p.Toxics.RemoveToxic(context.Background(), added.Name)
	})
	t.Cleanup(func() { heal.Stop() })
	return through
}
