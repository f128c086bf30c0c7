package githubactions

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), which the vendor reads:
// `on`, `yes` and `0b1` are text, `0755` is 755, `0o17` and `0x1F` are numbers.

// resolveScalar sets the kind and value of a scalar from its text, style and explicit tag. ok is false where the text does not
// fit the tag.
func resolveScalar(t *token, tag string) (ok bool) {
	plain := t.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch tag {
	case "":
		if !plain {
			t.kind = kindString
			return true
		}
		if resolveNull(t) || resolveBool(t) || resolveInt(t) || resolveFloat(t) {
			return true
		}
		t.kind = kindString
		return true
	case "!!str":
		t.kind = kindString
		return true
	case "!!null":
		return resolveNull(t)
	case "!!bool":
		return resolveBool(t)
	case "!!int":
		return resolveInt(t)
	case "!!float":
		return resolveInt(t) || resolveFloat(t)
	}
	return false
}

func resolveNull(t *token) bool {
	switch t.text {
	case "", "~", "null", "Null", "NULL":
		t.kind = kindNull
		return true
	}
	return false
}

func resolveBool(t *token) bool {
	switch t.text {
	case "true", "True", "TRUE":
		t.kind, t.bool = kindBool, true
	case "false", "False", "FALSE":
		t.kind, t.bool = kindBool, false
	default:
		return false
	}
	return true
}

func resolveInt(t *token) bool {
	s := t.text
	switch {
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0o"):
		base, digits := 16, "0123456789abcdefABCDEF"
		if s[1] == 'o' {
			base, digits = 8, "01234567"
		}
		if s = s[2:]; s == "" || strings.Trim(s, digits) != "" {
			return false
		}
		n := 0.0
		for _, c := range []byte(s) {
			d, _ := strconv.ParseUint(string(c), base, 8)
			n = n*float64(base) + float64(d)
		}
		t.kind, t.num = kindNumber, n
		return true
	}
	if d := strings.TrimLeft(s, "+-"); len(s)-len(d) > 1 || d == "" || strings.Trim(d, "0123456789") != "" {
		return false
	}
	return parseNumber(t, s)
}

func resolveFloat(t *token) bool {
	s := t.text
	d := s
	if d != "" && (d[0] == '+' || d[0] == '-') {
		d = d[1:]
	}
	switch d {
	case ".inf", ".Inf", ".INF":
		t.kind, t.num = kindNumber, math.Inf(1)
		if s[0] == '-' {
			t.num = math.Inf(-1)
		}
		return true
	case ".nan", ".NaN", ".NAN":
		if d != s {
			return false
		}
		t.kind, t.num = kindNumber, math.NaN()
		return true
	}
	mantissa, exponent, hasExponent := d, "", false
	if i := strings.IndexAny(d, "eE"); i >= 0 {
		mantissa, exponent, hasExponent = d[:i], d[i+1:], true
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || whole == "" && fraction == "" {
		return false
	}
	if hasExponent {
		if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if exponent == "" || strings.Trim(exponent, "0123456789") != "" {
			return false
		}
	}
	return parseNumber(t, s)
}

// parseNumber reads decimal text; what is too large becomes an infinity, as at the vendor.
func parseNumber(t *token, s string) bool {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(n, 0) {
		return false
	}
	t.kind, t.num = kindNumber, n
	return true
}
