package migrate_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// wholeTracks is how many tracks lie on the disk; TRACKSTORE_WHOLE_TRACKS sets another number.
const wholeTracks = 250

// A disk of audio files moves to S3, back, and to S3 again, by two processes each time, while
// users upload, replace and delete. Every byte is where its row says, at any moment.
func TestWholeDisk(t *testing.T) {
	t.Parallel()
	tracks := wholeTracks
	if s := os.Getenv("TRACKSTORE_WHOLE_TRACKS"); s != "" {
		var err error
		if tracks, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	wav := audiotest.WAV(1, 1)
	c := &crashes{
		rig: newRig(t), program: buildProgram(t), random: rand.New(rand.NewPCG(1, 1)),
		make: func(id track.ID, version int64, _ int) []byte { // other samples, and audio all the same
			b := append([]byte(nil), wav...)
			copy(b[1000:], id[:])
			binary.LittleEndian.PutUint64(b[1016:], uint64(version))
			return b
		},
	}
	for range tracks {
		c.add(len(wav))
	}
	for _, leg := range []struct{ command, backend string }{
		{"run", track.S3}, {"rollback --all", track.Local}, {"run", track.S3},
	} {
		args := append([]string{"migrate-storage"}, strings.Fields(leg.command)...)
		users, stop := context.WithCancel(t.Context())
		var usersGroup, workers sync.WaitGroup
		usersGroup.Go(func() { c.use(users) })
		usersGroup.Go(func() { c.watch(users) })
		for range 2 {
			workers.Go(func() { c.finish(args...) })
		}
		workers.Wait()
		stop()
		usersGroup.Wait()

		c.finish(args...) // what users did after the last claim
		c.check(leg.backend)
		if s := c.summary(args...); s.Claimed != 0 || !s.Done || s.Remaining != 0 {
			t.Errorf("%s, with nothing to do: %+v", leg.command, s)
		}
		c.settled()
	}
	c.finish("migrate-storage", "verify")
	t.Logf("%d tracks, %d replacements, %d deletions, %d looks", tracks, c.replaced, c.deleted, c.looks)
}

// summary runs a command with --json and returns its last line.
func (c *crashes) summary(args ...string) (s migrate.Summary) {
	c.Helper()
	out, err := c.command(append(args, "--json")...).Output()
	if err != nil {
		c.Errorf("%q: %v", args, err)
		return s
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		c.Error(err)
	}
	return s
}
