package docker

import "errors"

// makePipe is not called on Windows: the engine's kernel is another there.
func makePipe(*pipe) error { return errors.ErrUnsupported }
