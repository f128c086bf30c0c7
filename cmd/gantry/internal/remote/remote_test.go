package remote

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestLogText: what a job writes may colour a terminal and nothing else.
func TestLogText(t *testing.T) {
	for _, c := range []struct{ in, plain, colored string }{
		{"made\tof text: ✓", "made\tof text: ✓", "made\tof text: ✓"},
		{"\x1b[1;32mgreen\x1b[0m", "green", "\x1b[1;32mgreen\x1b[0m"},
		{"\x1b[2J\x1b[Hgone", "gone", "gone"},
		{"\x1b]0;title\x07text", "text", "text"},
		{"\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link", "link"},
		{"\x1b]52;c;YQ==", "]52;c;YQ==", "]52;c;YQ=="}, // not ended
		{"\x1bPq#0\x1b\\text", "text", "text"},
		{"\x1bctext", "ctext", "ctext"},
		{"\u009b2Jtext\b\r\x00", "2Jtext", "2Jtext"},
		{"cut \x1b[3", "cut [3", "cut [3"},
	} {
		if got := (&logWriter{}).text(c.in); got != c.plain {
			t.Errorf("%q is %q, want %q", c.in, got, c.plain)
		}
		if got := (&logWriter{color: true}).text(c.in); got != c.colored {
			t.Errorf("%q in colours is %q, want %q", c.in, got, c.colored)
		}
	}
}

// TestLogins: sign-ins are read as they were written, others cannot read them, and nothing is left beside them.
func TestLogins(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("AppData", dir)
	l, err := readLogins()
	if err != nil || len(l.Servers) != 0 {
		t.Fatalf("%+v, %v, want nothing", l, err)
	}
	for _, server := range []string{"https://b.example.com", "https://a.example.com"} {
		l.Current = server
		l.Servers[server] = login{Account: "ann", Token: "gantry_" + server}
		if err := l.write(); err != nil {
			t.Fatal(err)
		}
	}
	if l, err = readLogins(); err != nil || l.Current != "https://a.example.com" || l.Servers["https://b.example.com"].Account != "ann" {
		t.Fatalf("%+v, %v", l, err)
	}
	file, err := loginsFile()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the mode is %v", info.Mode())
	}
	if beside, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(beside) != 1 {
		t.Errorf("%v, %v, want the file alone", beside, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readLogins(); err == nil {
		t.Error("a broken file is read")
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"https://CI.example.com/":         "https://ci.example.com",
		"ci.example.com":                  "https://ci.example.com",
		"localhost:7070":                  "http://localhost:7070",
		"[::1]:7070":                      "http://[::1]:7070",
		"https://example.com/gantry/?q#f": "https://example.com/gantry",
	} {
		if got, err := address(in); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"ftp://example.com", "https://", "https://ann:secret@example.com"} {
		if got, err := address(in); err == nil {
			t.Errorf("%q is taken as %q", in, got)
		}
	}
}
