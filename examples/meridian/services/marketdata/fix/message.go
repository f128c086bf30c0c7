// Package fix speaks a small part of FIX 4.4 (https://www.fixtrading.org/standards/fix-4-4/): messages of tags and values
// with their length and checksum, and the session below them: logon by a pair of CompIDs, sequence numbers, heartbeats,
// resend requests, sequence resets and logout. It promises that no byte sequence makes it fail in another way than by an
// error, and that a session's two ends agree on what was sent. It does no input and output, and has no clock: both are
// its caller's.
package fix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

const (
	soh = '\x01'
	// begin is what each message begins with.
	begin = "8=FIX.4.4\x019="
	// trailer is the length of "10=000" and its end.
	trailer = 7
	// MaxBody bounds the body of a message, in bytes.
	MaxBody = 16 << 10
	// maxTag is the largest number of a tag.
	maxTag = 99_999
)

// Types of messages.
const (
	Heartbeat     = "0"
	TestRequest   = "1"
	ResendRequest = "2"
	Reject        = "3"
	SequenceReset = "4"
	Logout        = "5"
	Logon         = "A"

	MarketDataRequest  = "V"
	MarketDataSnapshot = "W"
	MarketDataReject   = "Y"
)

// Tags of fields.
const (
	BeginSeqNo      = 7
	EndSeqNo        = 16
	MsgSeqNum       = 34
	NewSeqNo        = 36
	PossDupFlag     = 43
	RefSeqNum       = 45
	SenderCompID    = 49
	SendingTime     = 52
	Symbol          = 55
	TargetCompID    = 56
	Text            = 58
	RptSeq          = 83
	EncryptMethod   = 98
	HeartBtInt      = 108
	TestReqID       = 112
	OrigSendingTime = 122
	GapFillFlag     = 123
	ResetSeqNumFlag = 141
	NoRelatedSym    = 146
	MDReqID         = 262
	Subscription    = 263
	NoMDEntries     = 268
	MDEntryType     = 269
	MDEntryPx       = 270
	// Version is ours: the version of the program at the other end, in its logon.
	Version = 9001
)

// timeFormat is UTCTimestamp with milliseconds.
const timeFormat = "20060102-15:04:05.000"

// Field is a tag and its value, which is not empty and has no SOH in it.
type Field struct {
	Tag   int
	Value string
}

// Message is the type of a message and its fields in their order, header fields first; length and checksum are not among them.
type Message struct {
	Type   string
	Fields []Field
}

// Get returns the value of the first field with a tag, or "".
func (m Message) Get(tag int) string {
	for _, f := range m.Fields {
		if f.Tag == tag {
			return f.Value
		}
	}
	return ""
}

// All returns the values of all fields with a tag.
func (m Message) All(tag int) []string {
	var vs []string
	for _, f := range m.Fields {
		if f.Tag == tag {
			vs = append(vs, f.Value)
		}
	}
	return vs
}

// Number returns a field as a number from 0 to 2^53, so that no end loses digits.
func (m Message) Number(tag int) (uint64, error) {
	n, err := strconv.ParseUint(m.Get(tag), 10, 53)
	if err != nil {
		return 0, fmt.Errorf("tag %d: %q is no number", tag, m.Get(tag))
	}
	return n, nil
}

// Int makes a field of a number.
func Int[N ~int | ~int64 | ~uint64](tag int, n N) Field { return Field{tag, fmt.Sprint(n)} }

// Time makes a field of a time.
func Time(tag int, t time.Time) Field { return Field{tag, t.UTC().Format(timeFormat)} }

// Append writes a message to the end of a buffer.
func Append(b []byte, m Message) []byte {
	length := len("35=") + len(m.Type) + 1
	for _, f := range m.Fields {
		length += len(strconv.Itoa(f.Tag)) + 1 + len(f.Value) + 1
	}
	start := len(b)
	b = append(b, begin...)
	b = strconv.AppendInt(b, int64(length), 10)
	b = append(b, "\x0135="...)
	b = append(append(b, m.Type...), soh)
	for _, f := range m.Fields {
		b = append(strconv.AppendInt(b, int64(f.Tag), 10), '=')
		b = append(append(b, f.Value...), soh)
	}
	return fmt.Appendf(b, "10=%03d\x01", sum(b[start:]))
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Garbled is the error for bytes that are no message. Where one begins next cannot be known then, so the connection is of
// no more use.
type Garbled struct{ Reason string }

// Error gives the reason.
func (e *Garbled) Error() string { return "garbled message: " + e.Reason }

func garbled(format string, args ...any) error { return &Garbled{fmt.Sprintf(format, args...)} }

// Read reads a message: io.EOF where the connection ended between two, *Garbled for what is none.
func Read(r *bufio.Reader) (Message, error) {
	head := make([]byte, 0, len(begin)+8)
	for {
		c, err := r.ReadByte()
		if err != nil {
			if len(head) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Message{}, err
		}
		head = append(head, c)
		if n := min(len(head), len(begin)); string(head[:n]) != begin[:n] {
			return Message{}, garbled("it does not begin with 8=FIX.4.4 and a length")
		}
		if len(head) > len(begin) && c == soh {
			break
		}
		if len(head) == cap(head) {
			return Message{}, garbled("the length does not end")
		}
	}
	digits := string(head[len(begin) : len(head)-1])
	length, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || digits[0] == '0' || length > MaxBody {
		return Message{}, garbled("the length %q is no number from 1 to %d", digits, MaxBody)
	}
	rest := make([]byte, int(length)+trailer)
	if _, err := io.ReadFull(r, rest); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	body := rest[:length]
	if want := fmt.Sprintf("10=%03d\x01", sum(head)+sum(body)); string(rest[length:]) != want {
		return Message{}, garbled("behind the body is %q in place of the checksum %q", rest[length:], want)
	}
	return parse(body)
}

// parse reads the fields of a body.
func parse(body []byte) (Message, error) {
	if body[len(body)-1] != soh {
		return Message{}, garbled("the body does not end with a field")
	}
	var m Message
	for i, part := range bytes.Split(body[:len(body)-1], []byte{soh}) {
		name, value, ok := bytes.Cut(part, []byte{'='})
		tag, err := strconv.ParseUint(string(name), 10, 32)
		if !ok || err != nil || name[0] == '0' || tag > maxTag || len(value) == 0 {
			return Message{}, garbled("%q is no field", part)
		}
		switch {
		case i == 0 && tag != 35:
			return Message{}, garbled("the first field is %d, not the type", tag)
		case i == 0:
			m.Type = string(value)
		case tag == 8 || tag == 9 || tag == 10 || tag == 35:
			return Message{}, garbled("the field %d is not at its place", tag)
		default:
			m.Fields = append(m.Fields, Field{int(tag), string(value)})
		}
	}
	return m, nil
}

// with returns a copy of a message with fields in front.
func (m Message) with(header ...Field) Message {
	return Message{m.Type, slices.Concat(header, m.Fields)}
}
