package bind

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

// Kind says what a node is.
type Kind uint8

// The kinds are those of YAML's core schema.
const (
	Null Kind = iota
	Bool
	Number
	Text
	List
	Map
)

// String returns the word that messages use.
func (k Kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a mapping"}[k]
}

// Node is a value of a file with its place. An alias is a node of its own, at the place of what it stands for.
type Node struct {
	Kind Kind
	Pos  pipeline.Pos
	// Text is a scalar's text: for text its value, for others as the file has it.
	Text string
	// Bool and Number are the values of those kinds.
	Bool   bool
	Number float64
	// Items are those of a list, Members those of a mapping, in the order of the file.
	Items   []*Node
	Members []Pair

	size  int
	style yaml.Style
	// bad: an error about this node was reported; nothing that follows from it should be.
	bad bool
}

// Pair is a member of a mapping.
type Pair struct{ Key, Value *Node }

// Get returns the value of a member, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, p := range n.Members {
		if p.Key.Text == key {
			return p.Value
		}
	}
	return nil
}

// Key returns the key of a member, or nil.
func (n *Node) Key(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, p := range n.Members {
		if p.Key.Text == key {
			return p.Key
		}
	}
	return nil
}

// Size is how many nodes there are below a node, itself included; none for nil.
func (n *Node) Size() int {
	if n == nil {
		return 0
	}
	return n.size
}

// Width is how many bytes of its line the node takes, as far as that is plain to see.
func (n *Node) Width() int {
	if n.Kind == List || n.Kind == Map || n.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 1
	}
	text, _, _ := strings.Cut(n.Text, "\n")
	width := len(text)
	if n.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		width += 2
	}
	return max(1, width)
}

// Data returns the node as encoding/json would read it.
func (n *Node) Data() any {
	switch n.Kind {
	case Bool:
		return n.Bool
	case Number:
		return n.Number
	case Text:
		return n.Text
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Data()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Members))
		for _, p := range n.Members {
			out[p.Key.Text] = p.Value.Data()
		}
		return out
	}
	return nil
}
