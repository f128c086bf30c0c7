package junit

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrOther is the error for XML that is no JUnit report.
var ErrOther = errors.New("it is no JUnit report: its root is neither testsuites nor testsuite")

// Parse reads a report. The error says in which line it is not what it should be.
func Parse(r io.Reader) ([]Suite, error) { return parse(r, MaxReport) }

// parse is Parse with a limit of the size, in bytes.
func parse(r io.Reader, limit int64) ([]Suite, error) {
	in := &counted{r: r, left: limit}
	text, err := readable(in)
	if err != nil {
		return nil, err
	}
	p := &parser{d: newDecoder(text), text: MaxText}
	suites, err := p.report()
	if err != nil && in.over {
		err = fmt.Errorf("it is larger than %d MiB", limit>>20)
	}
	if err != nil {
		if line, _ := p.d.InputPos(); !errors.Is(err, ErrOther) && !in.over && !strings.Contains(err.Error(), "on line") {
			err = fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	return suites, nil
}

func newDecoder(r io.Reader) *xml.Decoder {
	d := xml.NewDecoder(r)
	// The characters are UTF-8 already, whatever the head says.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return d
}

// counted ends a reader with an error where it is too long.
type counted struct {
	r    io.Reader
	left int64
	over bool
}

func (c *counted) Read(b []byte) (int, error) {
	if c.left <= 0 {
		var one [1]byte
		if n, err := c.r.Read(one[:]); n == 0 {
			return 0, err
		}
		c.over = true
		return 0, errors.New("it is too large")
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.r.Read(b)
	c.left -= int64(n)
	return n, err
}

// open is a suite whose end has not come.
type open struct {
	Suite
	// declared is the suite's own time, where known.
	declared float64
	known    bool
	// place is where it stands among those that have cases, -1 until it has one.
	place int
	// whole: it is an element testsuites.
	whole bool
}

type parser struct {
	d     *xml.Decoder
	stack []*open
	// done are the suites that have cases, in the order of their beginnings.
	done  []Suite
	cases int
	// text is how many bytes of texts may still be kept.
	text  int
	depth int
}

// token returns the next token that means something.
func (p *parser) token() (xml.Token, error) {
	t, err := p.d.Token()
	switch t.(type) {
	case xml.StartElement:
		if p.depth++; p.depth > maxDepth {
			return nil, fmt.Errorf("elements are nested deeper than %d", maxDepth)
		}
	case xml.EndElement:
		p.depth--
	}
	return t, err
}

func (p *parser) report() ([]Suite, error) {
	rooted := false
	for {
		t, err := p.token()
		if errors.Is(err, io.EOF) && rooted {
			return p.done, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, ErrOther
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			name := t.Name.Local
			switch {
			case name == "testsuites" || name == "testsuite":
				p.begin(t)
			case !rooted:
				return nil, ErrOther
			case name == "testcase":
				if err := p.testcase(t); err != nil {
					return nil, err
				}
			}
			rooted = true
		case xml.EndElement:
			if t.Name.Local == "testsuites" || t.Name.Local == "testsuite" {
				p.end()
			}
		}
	}
}

func (p *parser) begin(e xml.StartElement) {
	s := &open{place: -1}
	s.Name = cut(firstOf(attr(e, "name"), attr(e, "package")), maxName)
	s.declared, s.known = seconds(attr(e, "time"))
	s.whole = e.Name.Local == "testsuites"
	// What testsuites are called names the whole, such as "jest tests", which would only be repeated.
	if n := len(p.stack); n > 0 && !p.stack[n-1].whole {
		outer := p.stack[n-1].Name
		switch {
		case s.Name == "":
			s.Name = outer
		case outer != "" && outer != s.Name && !strings.HasPrefix(s.Name, outer):
			s.Name = cut(outer+" / "+s.Name, maxName)
		}
	}
	p.stack = append(p.stack, s)
}

func (p *parser) end() {
	if len(p.stack) == 0 {
		return // cannot be: the decoder pairs elements
	}
	s := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if s.place < 0 {
		return
	}
	if s.known {
		s.Seconds = s.declared
	}
	p.done[s.place] = s.Suite
}

// add puts a case into the innermost suite.
func (p *parser) add(c Case) error {
	if p.cases++; p.cases > MaxCases {
		return fmt.Errorf("it has more than %d tests", MaxCases)
	}
	s := p.stack[len(p.stack)-1]
	if s.place < 0 {
		s.place = len(p.done)
		p.done = append(p.done, Suite{})
	}
	s.Tests++
	switch c.Status {
	case Failed:
		s.Failures++
	case Errored:
		s.Errors++
	case Skipped:
		s.Skipped++
	}
	s.Seconds += c.Seconds
	s.Cases = append(s.Cases, c)
	return nil
}

// testcase reads a case up to its end.
func (p *parser) testcase(e xml.StartElement) error {
	if len(p.stack) == 0 {
		return errors.New("a testcase is in no testsuite")
	}
	c := Case{
		Class: cut(firstOf(attr(e, "classname"), attr(e, "class")), maxName),
		Name:  cut(firstOf(attr(e, "name"), attr(e, "id")), maxName), Status: Passed,
	}
	if c.Name == "" {
		c.Name, c.Class = firstOf(c.Class, "(without a name)"), ""
	}
	c.Seconds, _ = seconds(attr(e, "time"))
	// GoogleTest and others say so in attributes.
	switch strings.ToLower(firstOf(attr(e, "result"), attr(e, "status"))) {
	case "notrun", "skipped", "disabled", "ignored", "suppressed":
		c.Status = Skipped
	}
	var out output
	for {
		t, err := p.token()
		if err != nil {
			return unexpected(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := p.within(t, &c, &out); err != nil {
				return err
			}
		case xml.EndElement:
			c.Output = out.String()
			if p.text -= len(c.Output) + len(c.Message); p.text < 0 {
				p.text += len(c.Output)
				c.Output = "[left out: the report's texts are too long together]"
				p.text = max(p.text, 0)
			}
			return p.add(c)
		}
	}
}

// weight orders ends: the worst that a case says counts.
var weight = map[Status]int{Passed: 0, Skipped: 1, Failed: 2, Errored: 3}

// within reads an element of a case up to its end.
func (p *parser) within(e xml.StartElement, c *Case, out *output) error {
	status := Passed
	switch e.Name.Local {
	case "failure":
		status = Failed
	case "error":
		status = Errored
	case "skipped", "ignored", "disabled":
		status = Skipped
	case "system-out", "system-err":
	default:
		// properties, and the reruns of Surefire's flaky tests, which have succeeded in the end
		return p.skip()
	}
	if weight[status] > weight[c.Status] || c.Message == "" && status == c.Status {
		c.Status = status
		if m := firstOf(attr(e, "message"), attr(e, "type")); m != "" && status != Passed {
			c.Message = cut(m, MaxMessage)
		}
	}
	return p.content(out)
}

// content reads the text of an element, and of those within it, up to its end.
func (p *parser) content(out *output) error {
	out.part()
	for depth := 1; depth > 0; {
		t, err := p.token()
		if err != nil {
			return unexpected(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			out.write(t)
		}
	}
	return nil
}

func (p *parser) skip() error {
	for depth := 1; depth > 0; {
		t, err := p.token()
		if err != nil {
			return unexpected(err)
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	return nil
}

// unexpected makes an error of an end within an element.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}
