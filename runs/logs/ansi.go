package logs

import "bytes"

const escape = 0x1b

// stripANSI returns a line without terminal control sequences (ECMA-48: CSI, OSC and the other strings, and two-character escapes). It
// returns the line itself where there are none; else dst is used.
func stripANSI(dst, line []byte) []byte {
	at := bytes.IndexByte(line, escape)
	if at < 0 {
		return line
	}
	dst = dst[:0]
	for at >= 0 {
		dst = append(dst, line[:at]...)
		line = line[at+sequence(line[at:]):]
		at = bytes.IndexByte(line, escape)
	}
	return append(dst, line...)
}

// sequence returns the length of the control sequence that b begins with. One that does not end within the line is as long as what
// could belong to it.
func sequence(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 || b[i] > 0x7e {
				return i // no character of a sequence: it was cut off
			}
		}
		return len(b)
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == escape {
				if i+1 < len(b) && b[i+1] == '\\' {
					return i + 2
				}
				return i
			}
		}
		return len(b)
	}
	i := 1
	for i < len(b) && b[i] >= 0x20 && b[i] <= 0x2f {
		i++
	}
	if i < len(b) && b[i] >= 0x30 && b[i] <= 0x7e {
		i++
	}
	return i
}
