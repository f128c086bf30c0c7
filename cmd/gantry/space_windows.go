package main

import "golang.org/x/sys/windows"

// freeSpace returns how many bytes this user can still write to the disk of a folder.
func freeSpace(dir string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	return free, windows.GetDiskFreeSpaceEx(p, &free, nil, nil)
}
