//go:build !linux

package forge

func withRoom(err error, _ string) error { return err }
