//go:build !linux

package process

import "context"

// newHost fails: only on Linux can a process be recognised, waited for and ended with all that came from it after the agent's own death.
func newHost(_, _, _ string) (host, error) { return nil, ErrUnsupported }

func lockFolder(context.Context, string) (unlock func(), err error) { return nil, ErrUnsupported }
