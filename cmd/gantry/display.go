package main

import (
	"os"

	"golang.org/x/term"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/render"
)

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// colorful reports whether a file may get colours: a terminal that understands them, whose owner has not set NO_COLOR
// (https://no-color.org: any value but the empty one).
func colorful(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && smart() && isTerminal(f)
}

// smart reports whether the terminal, if there is one, understands more than lines.
func smart() bool {
	t := os.Getenv("TERM")
	return t != "" && t != "dumb"
}

// newRenderer chooses how to show a run: events for programs, a live display where somebody looks on, lines elsewhere.
// Under CI there may be a pseudo-terminal, but nobody who looks at it.
func newRenderer(output string, o render.Options) render.Renderer {
	o.Out = os.Stdout
	if output == "json" {
		return render.NewJSON(o)
	}
	o.Color = colorful(os.Stdout)
	if !isTerminal(os.Stdout) || !smart() || os.Getenv("CI") != "" {
		return render.NewPlain(o)
	}
	o.Size = func() (int, int) {
		w, h, err := term.GetSize(int(os.Stdout.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return w, h
	}
	return render.NewTerminal(o)
}
