package main

import "context"

// holdPID has nothing to hold: an agent's folder cannot be taken over on Windows.
func holdPID(string) (release func(), err error) { return func() {}, nil }

// isHeld believes what the status says: there is no lock to look at.
func isHeld(string) (bool, error) { return true, nil }

func endHolder(context.Context, string) error {
	return usagef("on Windows end the agent's process yourself")
}

func totalMemory() int64 { return 0 }
