package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// minEncoded is the length in characters from which a value is also hidden in its encoded forms, and a line of a value
	// with several lines on its own. The encodings of one or two characters are found in every log, as are the braces of a
	// secret in JSON; hiding them makes logs unreadable and protects nothing.
	minEncoded = 3
	// minBase64 is the length in characters from which a piece of base64 without its ambiguous ends is hidden: three
	// characters are found in most identifiers.
	minBase64 = 4
)

// Forms returns the texts that have to be hidden for a secret, without duplicates, in no order that matters:
//
//   - the value, trimmed of white space and of double quotes around it; a value with several lines: each line, as output is
//     handled by lines
//   - base64, in the standard and the URL alphabet, with and without padding, wrapped at 64 and 76 columns, and as part of a longer text
//     at each of the three alignments
//   - hex in small and capital letters
//   - percent-encoded, escaped as in JSON, XML, and by and for shells
//
// A value of one or two characters is hidden as it is only; one of white space not at all. The vendor of GitHub Actions hides
// every value that is not empty and lines of any length.
func Forms(value string) []string {
	set := map[string]struct{}{}
	add := func(forms ...string) {
		for _, f := range forms {
			if strings.TrimSpace(f) != "" {
				set[f] = struct{}{}
			}
		}
	}
	trimmed := strings.TrimSpace(value)
	values := []string{value, trimmed}
	if n := len(trimmed); n > 2 && trimmed[0] == '"' && trimmed[n-1] == '"' {
		values = append(values, trimmed[1:n-1])
	}
	if lines := longLines(trimmed); lines != nil {
		values = append(values, lines...)
	}
	for _, v := range values {
		if !strings.ContainsAny(v, "\r\n") {
			add(v)
		}
		if utf8.RuneCountInString(strings.TrimSpace(v)) >= minEncoded {
			add(base64Forms(v)...)
			add(hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v))))
			add(escapedForms(v)...)
		}
	}
	out := make([]string, 0, len(set))
	for f := range set {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// longLines returns the lines of a value that has several, without those too short to be hidden unless all are.
func longLines(value string) []string {
	var long, short []string
	for l := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if l = strings.TrimSpace(l); utf8.RuneCountInString(l) >= minEncoded {
			long = append(long, l)
		} else {
			short = append(short, l)
		}
	}
	if len(long) == 0 {
		return short
	}
	return long
}

// base64Forms returns a value in base64, and what is the same of it wherever it stands in a longer text that is encoded.
func base64Forms(v string) []string {
	var out []string
	whole := base64.StdEncoding.EncodeToString([]byte(v))
	for _, columns := range []int{64, 76} { // openssl and PEM; coreutils and MIME
		for i := 0; i+columns < len(whole); i += columns {
			out = append(out, whole[i:i+columns])
			if rest := whole[i+columns:]; len(rest) <= columns && len(rest) >= minBase64 {
				out = append(out, rest)
			}
		}
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := e.EncodeToString([]byte(v))
		out = append(out, whole, strings.TrimRight(whole, "="))
		for before := range 3 {
			// Characters that also hold bits of the bytes before and behind are left out.
			s := e.WithPadding(base64.NoPadding).EncodeToString([]byte("\x00\x00"[:before] + v))
			piece := s[(before*8+5)/6 : (before+len(v))*8/6]
			if len(piece) >= minBase64 {
				out = append(out, piece)
			}
		}
	}
	return out
}

// escapedForms returns a value as it is written within URLs, JSON, XML, expressions and shell commands.
func escapedForms(v string) []string {
	percent := percentEncode(v)
	out := []string{
		url.QueryEscape(v), url.PathEscape(v), percent, lowerEscapes(url.QueryEscape(v)), lowerEscapes(percent),
		html.EscapeString(v), xmlEscape(v),
		strings.ReplaceAll(v, "'", "''"),    // expressions, SQL, PowerShell and YAML in single quotes
		strings.ReplaceAll(v, "'", `'\''`),  // shells in single quotes
		strings.ReplaceAll(v, "'", `'"'"'`), // the same by Python's shlex
		escape(v, `"\$`+"`"),                // shells in double quotes
		escape(v, `"`), escape(v, `"\`),     // most languages in double quotes
		escape(v, shellSpecial), escape(v, shellSpecial+","), // printf %q
		ansiC(v), // $'…'
	}
	if j, err := json.Marshal(v); err == nil {
		inner := string(j[1 : len(j)-1])
		out = append(out, inner, jsonPlain.Replace(inner), strings.ReplaceAll(jsonPlain.Replace(inner), "/", `\/`))
	}
	return slices.DeleteFunc(out, func(f string) bool { return strings.ContainsAny(f, "\r\n") })
}

// shellSpecial are the characters that bash's printf %q puts a backslash before.
const shellSpecial = " \t!\"#$&'()*;<>?[\\]^`{|}~"

// jsonPlain undoes what Go's encoder escapes beyond the need of JSON; other encoders do not.
var jsonPlain = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\u2028`, "\u2028", `\u2029`, "\u2029")

func xmlEscape(v string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(v)
}

// escape puts a backslash before each of the characters.
func escape(v, characters string) string {
	var b strings.Builder
	for i := range len(v) {
		if strings.IndexByte(characters, v[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// ansiC writes a value as bash does between $' and '.
func ansiC(v string) string {
	var b strings.Builder
	for i := range len(v) {
		switch c := v[i]; c {
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\'', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			if c < ' ' || c == 0x7f {
				fmt.Fprintf(&b, `\%03o`, c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// percentEncode encodes all but the unreserved characters of RFC 3986, section 2.3.
func percentEncode(v string) string {
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// lowerEscapes writes the digits of percent escapes in small letters, as some encoders do.
func lowerEscapes(v string) string {
	b := []byte(v)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}
