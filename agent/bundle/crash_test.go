package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// crashEnv tells the test binary to be a process that stores bundles until it is killed.
const crashEnv = "GANTRY_TEST_BUNDLES"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		storeForEver(dir)
	}
	os.Exit(m.Run())
}

// crashData is one of some artifacts with many files.
func crashData(t testing.TB, n int) []byte {
	items := []item{executable("server", fmt.Sprint(n))}
	for i := range 30 {
		items = append(items, file(fmt.Sprintf("d%d/f%d", i%5, i), strings.Repeat("content ", 500+n)))
	}
	return gz(t, tarOf(t, items...))
}

const crashKinds = 6

// noTest stands for a test where there is none.
type noTest struct{ testing.TB }

func (noTest) Helper()           {}
func (noTest) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func storeForEver(dir string) {
	s, err := Open(dir, Options{})
	for n := 0; err == nil; n++ {
		data := crashData(noTest{}, n%crashKinds)
		_, err = s.Put(context.Background(), digest(data), bytes.NewReader(data))
		if err == nil && n%4 == 3 {
			_, err = s.Sweep([]string{digest(data)})
		}
		fmt.Print(".")
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

// TestKilledWhileStoring kills a process at any moment of storing and removing: what is there is there as a whole, and what is not can
// be stored again.
func TestKilledWhileStoring(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("written for kill -9")
	}
	rounds := 12
	if testing.Short() {
		rounds = 5
	}
	random := rand.New(rand.NewPCG(4, 2))
	dir := filepath.Join(t.TempDir(), "bundles")
	t.Cleanup(func() { removeAll(dir) })
	whole := 0
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = in, in
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in.Close()
		// When it dies is chance; what is tested does not depend on it.
		said := make([]byte, 1+random.IntN(4))
		if _, err := io.ReadFull(out, said); err != nil || strings.Trim(string(said), ".") != "" {
			t.Fatalf("it said %q, %v", said, err)
		}
		<-time.NewTimer(time.Duration(random.IntN(20_000)) * time.Microsecond).C
		cmd.Process.Kill()
		if rest, _ := io.ReadAll(out); strings.Trim(string(rest), ".") != "" {
			t.Fatalf("it said %q", rest)
		}
		cmd.Wait()
		out.Close()

		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if left := leftovers(t, dir); left != nil {
			t.Fatalf("left over: %v", left)
		}
		all, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			t.Fatal("what was stored is gone")
		}
		for _, b := range all {
			whole++
			if err := s.Verify(t.Context(), b.Digest); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d bundles looked at after %d kills", whole, rounds)
}
