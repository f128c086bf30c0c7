package docker

import (
	"context"
	"io"
	"os"
)

// onResize does nothing: Windows has no signal for it.
func onResize(context.Context, func()) {}

// copyTerminal copies keys until the process's end closes the connection.
func copyTerminal(_ context.Context, to io.Writer, t *os.File) { _, _ = io.Copy(to, t) }
