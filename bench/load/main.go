// Command load uploads small files to a running server from many clients at once, each a
// user of its own, and prints rates and latencies; then the same for a peer, if one is
// given. Beside a local stack:
//
//	set -a; . .local/env; set +a; go run ./bench/load -peer bin/tusd
//
// It ends with 1 where an upload was refused, failed or was not stored.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/shared/auth"
	"trackstore/shared/client"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

func main() {
	clients := flag.Int("clients", 200, "clients at once")
	span := flag.Duration("for", time.Minute, "how long")
	peer := flag.String("peer", "", "a tus server's program (bench/tusd), which is measured afterwards")
	peerSpan := flag.Duration("peer-for", 30*time.Second, "how long the peer is measured")
	flag.Parse()

	transport := &http.Transport{MaxIdleConnsPerHost: *clients}
	err := ours(&http.Client{Transport: transport}, *clients, *span)
	if *peer != "" {
		err = errors.Join(err, tusd(*peer, &http.Client{Transport: transport}, *clients, *peerSpan))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// ours loads trackstore: a ticket, a PUT to the storage, and the call that has it checked.
func ours(web *http.Client, clients int, span time.Duration) error {
	server, err := config.Load[config.Client](os.Getenv)
	if err != nil {
		return err
	}
	uploads := make([]upload, clients)
	for i := range uploads {
		token, err := auth.Sign(config.Auth{Secret: config.NewSecret(os.Getenv("JWT_SECRET"))}, track.NewID(), time.Now().Add(span+time.Hour))
		if err != nil {
			return err
		}
		c := client.New(server.URL.String(), token, client.Options{HTTP: web})
		uploads[i] = func(file []byte) error {
			u, err := c.Send(context.Background(), track.NewID().String(), client.Request{
				Title: "load", Filename: "load.wav", ContentType: "audio/wav", Size: int64(len(file)),
			}, bytes.NewReader(file), nil)
			if err == nil && u.State != track.UploadStored {
				err = fmt.Errorf("upload %s is %s %s", u.ID, u.State, u.Reason)
			}
			return err
		}
	}
	return measure("trackstore", uploads, span)
}

// upload sends one file, and returns when it is stored.
type upload func(file []byte) error

// measure has each of uploads done again and again, all of them at once.
func measure(name string, uploads []upload, span time.Duration) error {
	file := audiotest.WAV(2, 1)[:100<<10]
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8)) // the sizes in the headers
	binary.LittleEndian.PutUint32(file[40:], uint32(len(file)-44))

	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		took   []time.Duration
		failed []error
	)
	began := time.Now()
	for _, upload := range uploads {
		group.Go(func() {
			own := bytes.Clone(file)
			for time.Since(began) < span {
				binary.LittleEndian.PutUint64(own[1000:], rand.Uint64()) // no two files are alike
				start := time.Now()
				err := upload(own)
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil {
					failed = append(failed, err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	seconds := time.Since(began).Seconds()

	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(time.Millisecond)
	}
	fmt.Printf("%s: %d clients, %.0f s: %d uploads of 100 KiB, %.0f a second; p50 %s, p95 %s, p99 %s; %d failed\n",
		name, len(uploads), seconds, len(took), float64(len(took))/seconds, at(0.5), at(0.95), at(0.99), len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("%s: %d uploads failed, the first: %w", name, len(failed), failed[0])
	}
	return nil
}
