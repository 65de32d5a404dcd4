package web_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
	"trackstore/web"
)

// TestSize keeps what docs/clients.md says of the size of trackstore.js.
func TestSize(t *testing.T) {
	t.Parallel()
	script, err := web.FS.ReadFile("trackstore.js")
	if err != nil {
		t.Fatal(err)
	}
	client, checksum, _ := bytes.Cut(script, []byte("// --- the checksum"))
	if len(client) >= 20<<10 || len(checksum) == 0 || len(checksum) >= 5<<10 {
		t.Errorf("%d bytes, and %d for the checksum", len(client), len(checksum))
	}
}

// TestChecksum compares the checksum of trackstore.js with the one that everything else here computes.
func TestChecksum(t *testing.T) {
	t.Parallel()
	const chunk = 1 << 20 // what the script reads at once
	sizes := []int{chunk - 1, chunk, chunk + 1, 2*chunk - 7, 3*chunk + 5, 17 << 20}
	for size := range 300 {
		sizes = append(sizes, size)
	}
	dir := t.TempDir()
	content := make([]byte, 17<<20)
	rand.NewChaCha8([32]byte{1}).Read(content) //nolint:errcheck // it never fails
	script, err := web.FS.ReadFile("trackstore.js")
	if err != nil {
		t.Fatal(err)
	}
	program := `
		import { readFileSync } from 'node:fs';
		import { checksum } from './trackstore.mjs';
		const content = readFileSync('content');
		const sums = [];
		for (const size of JSON.parse(process.argv[2])) sums.push(await checksum(new Blob([content.subarray(0, size)])));
		console.log(JSON.stringify(sums));`
	for name, bytes := range map[string][]byte{"trackstore.mjs": script, "content": content, "main.mjs": []byte(program)} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	arg, err := json.Marshal(sizes)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "main.mjs", string(arg))
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var sums []string
	if err := json.Unmarshal(out, &sums); err != nil || len(sums) != len(sizes) {
		t.Fatalf("%d sums of %d: %v", len(sums), len(sizes), err)
	}
	for i, size := range sizes {
		if want := track.NewCRC64NVME(crc64nvme.Checksum(content[:size])).Value; sums[i] != want {
			t.Errorf("%d bytes: %s, and it is %s", size, sums[i], want)
		}
	}
}
