package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func masker(secrets ...string) *Masker {
	m := NewMasker()
	for _, s := range secrets {
		m.Add(s)
	}
	return m
}

func TestMask(t *testing.T) {
	const key = "-----BEGIN KEY-----\r\nMIIEpAIBAAKCAQEA7\r\n/x+9==\r\n-----END KEY-----\n"
	for _, c := range []struct {
		name    string
		secrets []string
		in, out string
	}{
		{"no secret", nil, "as it is", "as it is"},
		{"plain", []string{"hunter2"}, "log in with hunter2!", "log in with ***!"},
		{"at both ends", []string{"hunter2"}, "hunter2 and hunter2", "*** and ***"},
		{"nothing but it", []string{"hunter2"}, "hunter2", "***"},
		{"case matters", []string{"hunter2"}, "Hunter2", "Hunter2"},
		{"the longest at a place", []string{"abcd", "abcdefgh"}, "abcdefgh abcd abcdefg", "*** *** ***efg"},
		{"overlapping", []string{"abcdef", "defghi"}, "1abcdefghi2", "1***2"},
		{"touching", []string{"abcdef"}, "<abcdefabcdef>", "<***>"},
		{"one in another", []string{"bcde", "abcdefg"}, "abcdefg", "***"},
		{"of one character", []string{"7"}, "7 of 177", "*** of 1***"},
		{"of two characters, plain only", []string{"ab"}, "ab 6162 YWI= 0x6162", "*** 6162 YWI= 0x6162"},
		{"of two wide characters, plain only", []string{"äö"}, "äö c3a4c3b6", "*** c3a4c3b6"},
		{"white space is none", []string{" ", "\t\n", ""}, "a b\tc\n", "a b\tc\n"},
		{"trimmed", []string{" hunter2\n"}, "[hunter2]", "[***]"},
		{"in quotes", []string{`"hunter2"`}, "[hunter2]", "[***]"},
		{"lines", []string{key}, "x MIIEpAIBAAKCAQEA7\n/x+9==\n", "x ***\n***\n"},
		{"short lines of a long value", []string{"{\n \"k\": \"hunter2\"\n}"}, "if { \"k\": \"hunter2\" }", "if { *** }"},
		{"short lines only", []string{"a1\nb2"}, "a1 b2 a2", "*** *** a2"},
		{"bytes that are no text", []string{"\xff\xfe\xfd"}, "a\xff\xfe\xfdb\xff\xfe", "a***b\xff\xfe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := masker(c.secrets...)
			if got := string(m.Mask(nil, []byte(c.in))); got != c.out {
				t.Errorf("Mask(%q) = %q, want %q", c.in, got, c.out)
			}
			if got := string(m.Mask([]byte("before "), []byte(c.in))); got != "before "+c.out {
				t.Errorf("appended: %q", got)
			}
		})
	}
}

// TestForms looks for canaries in the forms that real programs write them in.
func TestForms(t *testing.T) {
	for _, secret := range []string{
		"hunter2", "pass word", `it's "q\uoted" $HOME & <more>`, "tab\there", "Zürich/ß?=%+", "a,b;c|d", "~tilde#hash",
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz",
	} {
		m := masker(secret)
		indented := &bytes.Buffer{}
		encoder := json.NewEncoder(indented)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(map[string]string{"k": secret}); err != nil {
			t.Fatal(err)
		}
		compact, _ := json.Marshal([]string{secret})
		for form, text := range map[string]string{
			"plain":             secret,
			"base64":            base64.StdEncoding.EncodeToString([]byte(secret)),
			"base64 raw":        base64.RawStdEncoding.EncodeToString([]byte(secret)),
			"base64 URL":        base64.URLEncoding.EncodeToString([]byte(secret)),
			"hex":               hex.EncodeToString([]byte(secret)),
			"HEX":               fmt.Sprintf("%X", secret),
			"query":             url.Values{"k": {secret}}.Encode(),
			"path":              url.PathEscape(secret),
			"JSON":              indented.String(),
			"JSON for HTML":     string(compact),
			"shell, quoted":     "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
			"expression":        "'" + strings.ReplaceAll(secret, "'", "''") + "'",
			"shell, in doubles": `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(secret) + `"`,
		} {
			got := string(m.Mask(nil, []byte("<"+text+">")))
			if !strings.Contains(got, Mask) || len(got) > len(text)-len(secret)+len("<***>")+3 && len(text) == len(secret) {
				t.Errorf("%s of %q is shown: %q", form, secret, got)
			}
			for _, part := range []string{secret, text} {
				if strings.Contains(got, part) {
					t.Errorf("%s of %q is shown: %q", form, secret, got)
				}
			}
		}
		// Within a longer text, base64 shows at most the characters that hold neighbours' bits as well.
		for before := range 7 {
			for after := range 4 {
				for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
					pad := strings.Repeat("~", before)
					whole := e.EncodeToString([]byte(pad + secret + strings.Repeat("~", after)))
					got := string(m.Mask(nil, []byte(whole)))
					rest := strings.ReplaceAll(got, Mask, "")
					if most := (before*8+5)/6 + (after*8+5)/6 + 2 + 2; !strings.Contains(got, Mask) || len(rest) > most {
						t.Errorf("base64 of %q with %d before and %d after is shown: %q of %q", secret, before, after, got, whole)
					}
				}
			}
		}
	}
}

func TestBase64InColumns(t *testing.T) {
	secret := strings.Repeat("0123456789 canary ", 20)
	m := masker(secret)
	for _, columns := range []int{64, 76} {
		whole := base64.StdEncoding.EncodeToString([]byte(secret))
		for i := 0; i < len(whole); i += columns {
			line := whole[i:min(i+columns, len(whole))]
			if got := string(m.Mask(nil, []byte(line))); len(line) >= minBase64 && got != Mask {
				t.Errorf("line %d of %d columns is shown: %q", i/columns, columns, got)
			}
		}
	}
}

func TestLongest(t *testing.T) {
	m := masker()
	if got := m.Longest(); got != 0 {
		t.Errorf("Longest() without secrets = %d", got)
	}
	m.Add("x")
	if got := m.Longest(); got != 1 {
		t.Errorf("Longest() = %d, want 1", got)
	}
	m.Add("0123456789")
	if got := m.Longest(); got != 20 {
		t.Errorf("Longest() = %d, want 20: the length in hex", got)
	}
}

// plainMask is the rule, written plainly: every byte of every occurrence is covered.
func plainMask(m *Masker, text []byte) []byte {
	covered := make([]bool, len(text))
	for p := range m.patterns {
		for at := 0; ; at++ {
			i := bytes.Index(text[at:], []byte(p))
			if i < 0 {
				break
			}
			at += i
			for k := range len(p) {
				covered[at+k] = true
			}
		}
	}
	var out []byte
	for i, c := range covered {
		switch {
		case !c:
			out = append(out, text[i])
		case i == 0 || !covered[i-1]:
			out = append(out, Mask...)
		}
	}
	return out
}

func FuzzMask(f *testing.F) {
	f.Add("hunter2", "ab", "x hunter2 aab 68756e74657232", uint8(3))
	f.Add("aaa", "a", "aaaaaaaaaabaaaa", uint8(1))
	f.Add("line one\nline two", "abcabcabc", "line two abcabcabcabc\nline one", uint8(7))
	f.Fuzz(func(t *testing.T, one, two, text string, chunk uint8) {
		m := masker(one, two)
		want := plainMask(m, []byte(text))
		if got := m.Mask(nil, []byte(text)); !bytes.Equal(got, want) {
			t.Errorf("Mask(%q) with %q and %q = %q, want %q", text, one, two, got, want)
		}
		if got := inChunks(t, m, text, int(chunk)%16+1); got != string(want) {
			t.Errorf("chunks of %d of %q with %q and %q = %q, want %q", chunk%16+1, text, one, two, got, want)
		}
	})
}

func inChunks(t *testing.T, m *Masker, text string, size int) string {
	t.Helper()
	var out strings.Builder
	w := NewWriter(&out, m)
	for i := 0; i < len(text); i += size {
		if _, err := w.Write([]byte(text[i:min(i+size, len(text))])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRandomTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, 1+r.IntN(n))
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 400 {
		m := NewMasker()
		for range 1 + r.IntN(6) {
			m.Add(word(20))
		}
		text := word(400)
		want := string(plainMask(m, []byte(text)))
		if got := string(m.Mask(nil, []byte(text))); got != want {
			t.Fatalf("Mask(%q) = %q, want %q (patterns %q)", text, got, want, m.patterns)
		}
		if got := inChunks(t, m, text, 1+r.IntN(30)); got != want {
			t.Fatalf("in chunks %q = %q, want %q (patterns %q)", text, got, want, m.patterns)
		}
	}
}

// TestCanaryAcrossChunks cuts a stream at every place.
func TestCanaryAcrossChunks(t *testing.T) {
	const canary = "c4n4ry-\"s3cret\""
	m := masker(canary, "short", "line one\nline two")
	text := "before " + canary + " between " + base64.StdEncoding.EncodeToString([]byte(canary)) +
		" short " + hex.EncodeToString([]byte(canary)) + " line two behind"
	want := "before *** between *** *** *** *** behind"
	for i := range len(text) + 1 {
		for j := i; j <= len(text); j++ {
			var out strings.Builder
			w := NewWriter(&out, m)
			for _, chunk := range []string{text[:i], text[i:j], text[j:]} {
				fmt.Fprint(w, chunk)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Fatalf("cut at %d and %d: %q", i, j, out.String())
			}
		}
	}
}

func TestWriterAfterAFlush(t *testing.T) {
	var out strings.Builder
	w := NewWriter(&out, masker("hunter2"))
	for _, s := range []string{"a hunter2", "hunter2 b"} {
		fmt.Fprint(w, s)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), "a ****** b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriterKeepsMemoryFlat(t *testing.T) {
	var n counter
	w := NewWriter(&n, masker("a", "hunter2"))
	chunk := bytes.Repeat([]byte("a"), 1<<16)
	for range 64 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if got := cap(w.held); got > 4*len(chunk) {
		t.Errorf("the writer keeps %d bytes", got)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n != counter(len(Mask)) {
		t.Errorf("%d bytes written for one covered stretch", n)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func TestAddWhileOthersMask(t *testing.T) {
	m := masker("hunter2")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 50 {
				secret := fmt.Sprintf("secret-%d-%d", i, k)
				m.Add(secret)
				if got := string(m.Mask(nil, []byte("x hunter2 "+secret+" y"))); got != "x *** *** y" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}
