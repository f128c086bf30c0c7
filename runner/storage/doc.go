// Package storage keeps what jobs leave behind: artifacts, by run, and caches, by repository.
//
// Both are plain folders. Whatever is stored is written to a temporary place, synced, and renamed to its
// name: it is there as a whole or not at all, also after a kill -9, and several processes may use one folder
// at a time. What is stored never changes; an artifact may be replaced as a whole, a cache may be evicted.
// Remains of a killed process are swept when something is next stored.
//
// The package also finds files by patterns, packs and unpacks them. It knows no workflow format, starts no
// process, and opens no port.
package storage
