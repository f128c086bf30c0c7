package process

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listener is a TCP socket that listens, by its inode.
type listener struct {
	socket
	inode string
}

// parseTCP returns what listens by a table as /proc/net/tcp and tcp6 have it (proc_net_tcp.rst): numbers are in hexadecimal, addresses in
// words of the machine's byte order, and the state of who listens is 0A.
func parseTCP(table []byte) (all []listener) {
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		address, port, ok := strings.Cut(f[1], ":")
		raw, err := hex.DecodeString(address)
		n, portErr := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil || portErr != nil || len(raw) != 4 && len(raw) != 16 {
			continue
		}
		for at := 0; at < len(raw); at += 4 {
			binary.NativeEndian.PutUint32(raw[at:], binary.BigEndian.Uint32(raw[at:]))
		}
		ip, _ := netip.AddrFromSlice(raw)
		all = append(all, listener{socket{ip.String(), int(n)}, f[9]})
	}
	return all
}

// listeners are those of the network that a process sees; ok is false where they cannot be read.
func listeners(pid int) (all []listener, ok bool) {
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		table, err := os.ReadFile(procPath(pid, name))
		if err == nil {
			ok = true
			all = append(all, parseTCP(table)...)
		}
	}
	return all, ok
}

// socketsOf adds the inodes of a process's sockets; ok is false where they may not be seen.
func socketsOf(pid int, inodes map[string]bool) (ok bool) {
	dir := procPath(pid, "fd")
	names, err := readNames(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return true
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// look returns what listens where a process runs, and which of it is its own and its kin's.
func (p *linuxProcess) look() (all []listener, own map[string]bool, ok bool) {
	members, err := p.scan()
	if err != nil || len(members) == 0 {
		return nil, nil, false
	}
	all, ok = listeners(members[0].pid)
	if !ok {
		return nil, nil, false
	}
	own = map[string]bool{}
	for _, m := range members {
		if !socketsOf(m.pid, own) {
			return nil, nil, false
		}
	}
	return all, own, true
}

func (p *linuxProcess) listening() (sockets []socket, ok bool) {
	all, own, ok := p.look()
	for _, l := range all {
		if own[l.inode] {
			sockets = append(sockets, l.socket)
		}
	}
	return sockets, ok
}

func (p *linuxProcess) owner(port int) (pid int) {
	all, own, ok := p.look()
	if !ok {
		return 0
	}
	others := map[string]bool{}
	for _, l := range all {
		if l.port != port {
			continue
		}
		if own[l.inode] {
			return 0
		}
		others[l.inode] = true
	}
	if len(others) == 0 {
		return 0
	}
	processes, err := processes()
	if err != nil {
		return 0
	}
	for _, s := range processes {
		inodes := map[string]bool{}
		socketsOf(s.pid, inodes)
		for inode := range others {
			if inodes[inode] {
				return s.pid
			}
		}
	}
	return 0
}
