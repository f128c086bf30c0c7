package logs

import "bytes"

const escape = 0x1b

// stripANSI replaces what is in dst by lines without terminal control sequences (ECMA-48: CSI, OSC and the other strings, and two-character
// escapes). No sequence goes beyond its line.
func stripANSI(dst, text []byte) []byte {
	dst = dst[:0]
	at := bytes.IndexByte(text, escape)
	for at >= 0 {
		dst = append(dst, text[:at]...)
		text = text[at+sequence(text[at:]):]
		at = bytes.IndexByte(text, escape)
	}
	return append(dst, text...)
}

// sequence returns the length of the control sequence that b begins with. One that does not end within its line is as long as what
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
			if b[i] == '\n' {
				return i
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
