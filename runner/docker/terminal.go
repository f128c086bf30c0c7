package docker

import (
	"context"
	"io"

	"github.com/moby/moby/client"
	"golang.org/x/term"
)

// terminal connects a person's terminal to the process until the process ends.
func (p *process) terminal(conn client.ExecAttachResult) {
	defer close(p.ended)
	defer conn.Close()
	t := p.stdio.Terminal
	fd := int(t.Fd())
	if old, err := term.MakeRaw(fd); err == nil {
		defer term.Restore(fd, old)
	}
	ctx, stop := context.WithCancel(p.w.lives)
	defer stop()
	resize := func() {
		width, height, err := term.GetSize(fd)
		if err == nil && width > 0 && height > 0 {
			_, _ = p.w.e.api.ExecResize(ctx, p.execID, client.ExecResizeOptions{Width: uint(width), Height: uint(height)})
		}
	}
	resize()
	go onResize(ctx, resize)
	go copyTerminal(ctx, conn.Conn, t)
	_, _ = io.Copy(p.out, conn.Reader)
}
