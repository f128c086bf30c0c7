//go:build !unix

package forge

// notFolder: the system reports such paths as missing.
func notFolder(error) bool { return false }
