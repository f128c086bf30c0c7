package junit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// declared finds the encoding in an XML declaration (https://www.w3.org/TR/xml/#NT-EncodingDecl).
var declared = regexp.MustCompile(`^<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// readable returns XML as UTF-8 with the characters alone that XML allows; others, and bytes that are no UTF-8, become U+FFFD. Test tools
// write what tests have written, colours and all.
func readable(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 32<<10)
	head, _ := b.Peek(256)
	if bytes.HasPrefix(head, []byte{0xfe, 0xff}) || bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{'<', 0}) || bytes.HasPrefix(head, []byte{0, '<'}) {
		return nil, fmt.Errorf("its characters are UTF-16; let the tool write UTF-8")
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		b.Discard(3)
		head = head[3:]
	}
	c := &cleaner{in: b}
	if m := declared.FindSubmatch(head); m != nil {
		switch name := strings.ToLower(string(m[1])); name {
		case "utf-8", "utf8", "us-ascii", "ascii":
		case "iso-8859-1", "latin1", "iso-8859-15", "windows-1252", "cp1252":
			c.single = true
		default:
			return nil, fmt.Errorf("its characters are %s; let the tool write UTF-8", name)
		}
	}
	return c, nil
}

// cleaner replaces what XML does not allow.
type cleaner struct {
	in *bufio.Reader
	// single: a byte is a character, by ISO 8859-1.
	single bool
	// rest is what did not fit.
	rest []byte
	buf  [utf8.UTFMax]byte
	err  error
}

func (c *cleaner) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(c.rest) > 0 {
			m := copy(p[n:], c.rest)
			c.rest, n = c.rest[m:], n+m
			continue
		}
		if c.err != nil || n > 0 && c.in.Buffered() == 0 {
			break // what there is first, before waiting for more
		}
		// Most of it is plain text and is taken as it is.
		if plain, _ := c.in.Peek(min(max(c.in.Buffered(), 1), len(p)-n)); len(plain) > 0 {
			i := 0
			for i < len(plain) && (plain[i] >= ' ' && plain[i] < 0x7f && plain[i] != '&' || plain[i] == '\n' || plain[i] == '\t') {
				i++
			}
			if i > 0 {
				n += copy(p[n:], plain[:i])
				c.in.Discard(i)
				continue
			}
		}
		c.rest, c.err = c.next()
	}
	if n == 0 && len(p) > 0 {
		return 0, c.err
	}
	return n, nil
}

// next reads a character or a reference to one.
func (c *cleaner) next() ([]byte, error) {
	var r rune
	if c.single {
		b, err := c.in.ReadByte()
		if err != nil {
			return nil, err
		}
		r = rune(b)
	} else {
		var err error
		if r, _, err = c.in.ReadRune(); err != nil {
			return nil, err
		}
	}
	if r == '&' {
		if size := c.forbidden(); size > 0 {
			c.in.Discard(size)
			r = utf8.RuneError
		}
	}
	if !allowed(r) {
		r = utf8.RuneError
	}
	return utf8.AppendRune(c.buf[:0], r), nil
}

// forbidden returns the length of what follows an ampersand that refers to a character which XML does not allow, else 0.
func (c *cleaner) forbidden() int {
	const longest = 12 // #x10FFFF; and some leading zeros
	b, _ := c.in.Peek(longest)
	end := bytes.IndexByte(b, ';')
	if end < 2 || b[0] != '#' {
		return 0
	}
	digits, base := string(b[1:end]), 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil || v <= utf8.MaxRune && allowed(rune(v)) {
		return 0
	}
	return end + 1
}

// allowed is https://www.w3.org/TR/xml/#NT-Char.
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}
