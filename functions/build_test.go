package functions_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ids are the logical ids of the functions in template.yaml, by folder.
var ids = map[string]string{
	"presign-upload": "PresignUploadFunction",
	"object-created": "ObjectCreatedFunction",
	"migrate-batch":  "MigrateBatchFunction",
	"sweep-uploads":  "SweepUploadsFunction",
	"deliver-events": "DeliverEventsFunction",
	"migrate-schema": "MigrateSchemaFunction",
}

// build does in root what `sam build` does for one function, and returns the binary.
func build(t *testing.T, root, id, architecture string) []byte {
	t.Helper()
	dir := t.TempDir()
	command := exec.Command("make", "build-"+id, "ARTIFACTS_DIR="+dir, "ARCHITECTURE="+architecture)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "bootstrap" {
		t.Fatalf("made %v, %v", entries, err)
	}
	binary, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// What is deployed runs on a bare Linux: nothing is linked at run time. It is small, and the same wherever it was built.
func TestBuild(t *testing.T) {
	here, elsewhere := t.TempDir(), t.TempDir()
	copySource(t, "..", here)
	copySource(t, here, elsewhere)
	const mostBytes = 20 << 20
	machines := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}
	for folder, id := range ids {
		for architecture, machine := range machines {
			t.Run(folder+"/"+architecture, func(t *testing.T) {
				t.Setenv("CGO_ENABLED", "1") // what a laptop may have set
				binary := build(t, here, id, architecture)
				if len(binary) > mostBytes {
					t.Errorf("has %d bytes", len(binary))
				}
				file, err := elf.NewFile(bytes.NewReader(binary))
				if err != nil {
					t.Fatal(err)
				}
				if file.Machine != machine {
					t.Errorf("is for %v", file.Machine)
				}
				libraries, err := file.ImportedLibraries()
				if err != nil || len(libraries) > 0 || file.Section(".interp") != nil {
					t.Errorf("is linked at run time: %v, %v", libraries, err)
				}
				if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
					t.Error("is not stripped")
				}
				if architecture == "arm64" && sha256.Sum256(binary) != sha256.Sum256(build(t, elsewhere, id, architecture)) {
					t.Error("differs by where it is built")
				}
			})
		}
	}
}

// copySource copies what the functions are built from.
func copySource(t *testing.T, from, to string) {
	t.Helper()
	for _, dir := range []string{"functions", "shared", "migrations"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(from, dir))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"Makefile", "go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBuildRefusesOtherArchitectures(t *testing.T) {
	t.Parallel()
	command := exec.Command("make", "build-"+ids["migrate-batch"], "ARTIFACTS_DIR="+t.TempDir(), "ARCHITECTURE=riscv")
	command.Dir = ".."
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "ARCHITECTURE is riscv") {
		t.Errorf("%v\n%s", err, out)
	}
}
