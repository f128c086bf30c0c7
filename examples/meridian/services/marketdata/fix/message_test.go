package fix

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// bar writes a message with | for SOH.
func bar(s string) []byte { return []byte(strings.ReplaceAll(s, "|", "\x01")) }

func TestAppend(t *testing.T) {
	m := Message{Logon, []Field{{SenderCompID, "BUYER"}, {TargetCompID, "SELLER"}, Int(MsgSeqNum, 1), Int(HeartBtInt, 30)}}
	want := "8=FIX.4.4|9=36|35=A|49=BUYER|56=SELLER|34=1|108=30|10="
	got := strings.ReplaceAll(string(Append(nil, m)), "\x01", "|")
	if !strings.HasPrefix(got, want) || len(got) != len(want)+4 {
		t.Errorf("%s", got)
	}
	back, err := Read(bufio.NewReader(bytes.NewReader(Append(nil, m))))
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestKnownMessage reads a heartbeat whose checksum is worked out from the sum of its bytes, 931 = 3·256 + 163.
func TestKnownMessage(t *testing.T) {
	m, err := Read(bufio.NewReader(bytes.NewReader(bar("8=FIX.4.4|9=5|35=0|10=163|"))))
	if err != nil || m.Type != Heartbeat || m.Fields != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"another protocol", "GET / HTTP/1.1\r\n", "does not begin"},
		{"another version", "8=FIX.4.2|9=5|35=0|10=161|", "does not begin"},
		{"no length", "8=FIX.4.4|35=0|", "does not begin"},
		{"empty length", "8=FIX.4.4|9=|35=0|", "no number"},
		{"leading zero", "8=FIX.4.4|9=05|35=0|10=163|", "no number"},
		{"negative", "8=FIX.4.4|9=-5|35=0|10=163|", "no number"},
		{"large", "8=FIX.4.4|9=99999|35=0|", "no number"},
		{"endless", "8=FIX.4.4|9=1111111111111", "does not end"},
		{"short length", "8=FIX.4.4|9=4|35=0|10=163|", "in place of the checksum"},
		{"checksum", "8=FIX.4.4|9=5|35=0|10=164|", `the checksum "10=163`},
		{"type not first", "8=FIX.4.4|9=10|34=1|35=0|10=125|", "not the type"},
		{"empty value", "8=FIX.4.4|9=9|35=0|34=|10=069|", "no field"},
	}
	for _, tt := range tests {
		m, err := Read(bufio.NewReader(bytes.NewReader(bar(tt.text))))
		if g := new(Garbled); !errors.As(err, &g) || !strings.Contains(err.Error(), tt.want) && !strings.Contains(err.Error(), "checksum") {
			t.Errorf("%s: %+v, %v; want %q", tt.name, m, err, tt.want)
		}
	}
	for text, want := range map[string]error{"": io.EOF, "8=FIX": io.ErrUnexpectedEOF, "8=FIX.4.4|9=5|35": io.ErrUnexpectedEOF} {
		if _, err := Read(bufio.NewReader(bytes.NewReader(bar(text)))); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// TestBodies has bodies that are wrong within a right length and checksum.
func TestBodies(t *testing.T) {
	for body, want := range map[string]string{
		"34=1|35=0|":       "not the type",
		"35=0|34=|":        "no field",
		"35=0|=1|":         "no field",
		"35=0|034=1|":      "no field",
		"35=0|123456=1|":   "no field",
		"35=0|x=1|":        "no field",
		"35=0||":           "no field",
		"35=0|34=1|35=A|":  "not at its place",
		"35=0|34=1|10=12|": "not at its place",
		"35=0":             "does not end",
	} {
		if m, err := parse(bar(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", body, m, err, want)
		}
	}
	m, err := parse(bar("35=V|55=ACME|55=GLOB|58=a=b|"))
	if err != nil || !reflect.DeepEqual(m.All(Symbol), []string{"ACME", "GLOB"}) || m.Get(Text) != "a=b" || m.Get(1) != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

// FuzzRead: whatever is read as a message is written as the same bytes.
func FuzzRead(f *testing.F) {
	f.Add(bar("8=FIX.4.4|9=5|35=0|10=163|"))
	f.Add(Append(nil, Message{Logon, []Field{{SenderCompID, "BUYER"}, {TargetCompID, "SELLER"}, Int(MsgSeqNum, 1)}}))
	f.Add([]byte("8=FIX.4.4\x019=1\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if again := Append(nil, m); !bytes.HasPrefix(b, again) {
			t.Errorf("%q became %q", b, again)
		}
	})
}

// FuzzBody gives random bodies a right frame, which random bytes hardly ever have.
func FuzzBody(f *testing.F) {
	f.Add("35=0|")
	f.Add("35=V|34=7|55=ACME|")
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) == 0 {
			return
		}
		m, err := parse(bar(body))
		if err != nil {
			return
		}
		back, err := Read(bufio.NewReader(bytes.NewReader(Append(nil, m))))
		if len(body) <= MaxBody && (err != nil || !reflect.DeepEqual(back, m)) {
			t.Errorf("%+v became %+v, %v", m, back, err)
		}
	})
}
