// Command load uploads small files to a running server from many clients at once, each a
// user of its own, and prints rates and latencies. Beside a local stack:
//
//	set -a; . .local/env; set +a; go run ./bench/load
//
// It ends with 1 where an upload was refused, failed or was not stored.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"trackstore/shared/audiotest"
	"trackstore/shared/auth"
	"trackstore/shared/client"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

func main() {
	clients := flag.Int("clients", 200, "clients at once")
	span := flag.Duration("for", time.Minute, "how long")
	flag.Parse()
	if err := run(*clients, *span); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(clients int, span time.Duration) error {
	server, err := config.Load[config.Client](os.Getenv)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
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
	for range clients {
		token, err := auth.Sign(config.Auth{Secret: config.NewSecret(os.Getenv("JWT_SECRET"))}, track.NewID(), began.Add(span+time.Hour))
		if err != nil {
			return err
		}
		c := client.New(server.URL.String(), token, client.Options{HTTP: &http.Client{Transport: transport}})
		group.Go(func() {
			own := bytes.Clone(file)
			for time.Since(began) < span {
				binary.LittleEndian.PutUint64(own[1000:], rand.Uint64()) // no two files are alike
				start := time.Now()
				u, err := c.Send(context.Background(), track.NewID().String(), client.Request{
					Title: "load", Filename: "load.wav", ContentType: "audio/wav", Size: int64(len(own)),
				}, bytes.NewReader(own), nil)
				if err == nil && u.State != track.UploadStored {
					err = fmt.Errorf("upload %s is %s %s", u.ID, u.State, u.Reason)
				}
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
	fmt.Printf("%d clients, %.0f s: %d uploads of 100 KiB, %.0f a second; p50 %s, p95 %s, p99 %s; %d failed\n",
		clients, seconds, len(took), float64(len(took))/seconds, at(0.5), at(0.95), at(0.99), len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("%d uploads failed, the first: %w", len(failed), failed[0])
	}
	return nil
}
