//go:build unix

package host

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hearSignals lets processes hear SIGINT and SIGHUP where this one was started with them ignored, as shells start what runs in
// the background: an ignored signal stays ignored in a process's children, and no script could trap it. Once a signal
// is caught, children begin with its default. What is caught here is dropped, so that for this process nothing changes.
var hearSignals = sync.OnceFunc(func() {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
})
