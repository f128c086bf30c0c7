package meridian_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "copy kit into the services anew")

// services are the folders of the services' own modules.
var services = []string{"services/gateway", "services/ledger", "services/marketdata"}

// TestKit holds the services' copies of kit against the original, whose tests cover them.
func TestKit(t *testing.T) {
	originals, err := filepath.Glob("kit/*.go")
	if err != nil {
		t.Fatal(err)
	}
	originals = slices.DeleteFunc(originals, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	for _, service := range services {
		dir := filepath.Join(service, "internal", "kit")
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		copies, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, original := range originals {
			target := filepath.Join(dir, filepath.Base(original))
			content := []byte(read(t, original))
			if *update {
				write(t, target, string(content))
			}
			got, err := os.ReadFile(target)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s is not a copy of %s; run go test ./examples/meridian -run Kit -update", target, original)
			}
			copies = slices.DeleteFunc(copies, func(f string) bool { return f == target })
		}
		for _, extra := range copies {
			t.Errorf("%s is not in kit", extra)
		}
	}
}
