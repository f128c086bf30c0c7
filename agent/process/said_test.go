package process

import (
	"strings"
	"testing"
)

// TestSaid quotes the line that tells why, as runtimes of several languages print it.
func TestSaid(t *testing.T) {
	for name, c := range map[string]struct{ printed, want string }{
		"node": {"node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\n\nError: Cannot find module '/srv/server.js'\n    at Module._load (node:internal:922:27)\n  code: 'MODULE_NOT_FOUND',\n\nNode.js v20.0.0",
			`"Error: Cannot find module '/srv/server.js'"`},
		"go":      {"panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:8 +0x1d\nexit status 2", `"panic: runtime error: index out of range [3] with length 3"`},
		"python":  {"Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'HOME'", `"KeyError: 'HOME'"`},
		"a shell": {"sh: 1: ./server: Permission denied\n", `"sh: 1: ./server: Permission denied"`},
		"plain":   {"reads orders\nbye\n", `"bye"`},
		"nothing": {"\n  \n", ""},
		"long":    {"error: " + strings.Repeat("é", 400), `"error: ` + strings.Repeat("é", 96) + `"…`},
		"binary":  {"\xff\xfe\x00", `"\x00"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := said{}
			for line := range strings.Lines(c.printed) {
				s.hear(Stderr, []byte(line))
			}
			if got := s.text(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			s.forget()
			if got := s.text(); got != "" {
				t.Errorf("%s of the process before", got)
			}
		})
	}
	s := said{}
	s.hear(Stdout, []byte("serves at :8080"))
	if got := s.text(); got != "" {
		t.Errorf("%s: what goes well is on the standard output", got)
	}
}
