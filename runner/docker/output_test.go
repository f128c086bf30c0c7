package docker

import (
	"bytes"
	"testing"
)

func TestOutputHead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chunks []string
		pid    int
		want   string
	}{
		{"in one", []string{"12\nhello"}, 12, "hello"},
		{"in pieces", []string{"1", "2", "\n", "a", "b"}, 12, "ab"},
		{"a terminal", []string{"12\r\nx"}, 12, "x"},
		{"nothing else", []string{"7\n"}, 7, ""},
		{"a message instead", []string{"sh: can't open\n"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			o := newOutput(&b, true)
			for _, c := range tt.chunks {
				if n, err := o.Write([]byte(c)); n != len(c) || err != nil {
					t.Errorf("write: %d, %v", n, err)
				}
			}
			if o.hasStarted() != (tt.pid != 0) || o.pid != tt.pid || b.String() != tt.want {
				t.Errorf("started %v, pid %d, output %q", o.hasStarted(), o.pid, b.String())
			}
		})
	}
}

func TestPartial(t *testing.T) {
	for _, tt := range []struct {
		b, mark string
		want    int
	}{{"abc", "xyz", 0}, {"abx", "xyz", 1}, {"axy", "xyz", 2}, {"xyz", "xyz", 0}, {"xx", "xxy", 2}, {"", "x", 0}, {"aax", "xa", 1}} {
		if got := partial([]byte(tt.b), []byte(tt.mark)); got != tt.want {
			t.Errorf("%q, %q: got %d, want %d", tt.b, tt.mark, got, tt.want)
		}
	}
}
