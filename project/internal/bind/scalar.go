package bind

import (
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), which editors use too: `on` and `yes` are
// text, `0o17` and `0x1F` are numbers. Infinities and NaN are refused, as JSON has none.

var (
	decimal = lazy.New(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	based   = lazy.New(`^0(x[0-9a-fA-F]{1,13}|o[0-7]{1,17})$`)
)

// resolve sets the kind and value of a scalar from its text, its style and its explicit tag. It is false where the text does not fit the tag.
func resolve(n *Node, tag string) bool {
	quoted := n.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if tag == "!!str" || tag == "" && quoted {
		n.Kind = Text
		return true
	}
	n.Kind = plain(n)
	switch tag {
	case "":
		return true
	case "!!null":
		return n.Kind == Null
	case "!!bool":
		return n.Kind == Bool
	case "!!int":
		return n.Kind == Number && n.Number == math.Trunc(n.Number)
	case "!!float":
		return n.Kind == Number
	}
	return false
}

// plain resolves text without quotes.
func plain(n *Node) Kind {
	switch n.Text {
	case "", "~", "null", "Null", "NULL":
		return Null
	case "true", "True", "TRUE":
		n.Bool = true
		return Bool
	case "false", "False", "FALSE":
		return Bool
	}
	if based.MatchString(n.Text) {
		base := 16
		if n.Text[1] == 'o' {
			base = 8
		}
		if v, err := strconv.ParseUint(n.Text[2:], base, 64); err == nil {
			n.Number = float64(v)
			return Number
		}
	}
	if decimal.MatchString(n.Text) {
		if v, err := strconv.ParseFloat(n.Text, 64); err == nil {
			n.Number = v
			return Number
		}
	}
	return Text
}
