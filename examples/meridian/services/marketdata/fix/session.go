package fix

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// Kept is how many messages of the application a session keeps to send them again.
	Kept = 1000
	// MaxHeartbeat bounds the time between heartbeats that a logon may ask for.
	MaxHeartbeat = time.Hour
	// patience is how much later than agreed a message may come, in parts of the heartbeat: FIX asks for "some reasonable
	// transmission time".
	patience = 5
)

// Ended is the error with which a session is over. What is still in Out is to be sent, and the connection closed.
type Ended struct {
	Reason string
	// Logout: both ends have said goodbye.
	Logout bool
}

// Error gives the reason.
func (e *Ended) Error() string { return e.Reason }

// Config is what a session is made of.
type Config struct {
	// Self and Peer are the CompIDs.
	Self, Peer string
	// Heartbeat is the time between heartbeats, in whole seconds; an acceptor takes it from the logon.
	Heartbeat time.Duration
	// LogonFields are added to the logon.
	LogonFields []Field
}

// phase is where a session stands.
type phase int

const (
	off     phase = iota // nobody is connected
	opening              // the initiator has sent its logon
	open
	closing // we have sent a logout
)

// Session is one end of a session: its numbers outlive a connection. Its methods take the time, and leave what is to be
// sent in Out. It is not safe for concurrent use.
type Session struct {
	config Config
	phase  phase
	// out and in are the numbers that the next message has.
	out, in uint64
	sent    []stored // the last messages of the application, ascending
	queue   []Message

	heartbeat              time.Duration
	lastSent, lastReceived time.Time
	tested                 bool   // a test request waits for its answer
	asked                  uint64 // a resend of everything up to this number is on its way; 0: none
}

// stored is a message that may be sent again.
type stored struct {
	seq  uint64
	at   time.Time
	body Message
}

// NewSession returns a session that never was connected.
func NewSession(c Config) *Session {
	return &Session{config: c, out: 1, in: 1, heartbeat: c.Heartbeat}
}

// Out returns the messages that are to be sent, and forgets them.
func (s *Session) Out() []Message {
	q := s.queue
	s.queue = nil
	return q
}

// Open says whether both ends have logged on and neither has said goodbye.
func (s *Session) Open() bool { return s.phase == open }

// Connect begins a connection as the initiator, with a logon. reset starts both ends' numbers from 1.
func (s *Session) Connect(now time.Time, reset bool) {
	s.queue, s.tested, s.asked = nil, false, 0
	fields := []Field{Int(EncryptMethod, 0), Int(HeartBtInt, int(s.heartbeat/time.Second))}
	if reset {
		s.out, s.in, s.sent = 1, 1, nil
		fields = append(fields, Field{ResetSeqNumFlag, "Y"})
	}
	s.phase, s.lastReceived = opening, now
	s.send(now, Message{Logon, append(fields, s.config.LogonFields...)})
}

// Disconnect ends a connection that broke. The numbers stay.
func (s *Session) Disconnect() { s.phase, s.queue, s.tested, s.asked = off, nil, false, 0 }

// Send sends a message of the application.
func (s *Session) Send(now time.Time, m Message) {
	s.sent = append(s.sent, stored{s.out, now, m})
	if len(s.sent) > Kept {
		s.sent = s.sent[1:]
	}
	s.send(now, m)
}

// Logout says goodbye. The session ends when the other end does as well.
func (s *Session) Logout(now time.Time, text string) {
	if s.phase == open || s.phase == opening {
		s.send(now, Message{Logout, []Field{{Text, text}}})
		s.phase = closing
	}
}

// send gives a message its header and number.
func (s *Session) send(now time.Time, m Message) {
	s.queue = append(s.queue, m.with(Field{SenderCompID, s.config.Self}, Field{TargetCompID, s.config.Peer}, Int(MsgSeqNum, s.out), Time(SendingTime, now)))
	s.out++
	s.lastSent = now
}

// again gives a message the header of one that is sent again, with its old number.
func (s *Session) again(now time.Time, m Message, seq uint64, original time.Time) {
	s.queue = append(s.queue, m.with(Field{SenderCompID, s.config.Self}, Field{TargetCompID, s.config.Peer}, Int(MsgSeqNum, seq), Field{PossDupFlag, "Y"},
		Time(SendingTime, now), Time(OrigSendingTime, original)))
	s.lastSent = now
}

// Due returns when Tick is to be called next. It is zero where nothing is awaited.
func (s *Session) Due() time.Time {
	if s.phase == off || s.heartbeat == 0 {
		return time.Time{}
	}
	late := s.lastReceived.Add(s.silence())
	if s.phase == open && s.lastSent.Add(s.heartbeat).Before(late) {
		return s.lastSent.Add(s.heartbeat)
	}
	return late
}

// silence is how long nothing may come until we ask, and then until we give up.
func (s *Session) silence() time.Duration {
	d := s.heartbeat + s.heartbeat/patience
	if s.tested || s.phase != open {
		d *= 2
	}
	return d
}

// Tick sends what the time asks for: a heartbeat, or a test request where nothing has come. The error is an *Ended where
// the other end is silent for too long.
func (s *Session) Tick(now time.Time) error {
	if s.phase == off || s.heartbeat == 0 {
		return nil
	}
	if !now.Before(s.lastReceived.Add(s.silence())) {
		if s.tested || s.phase != open {
			return s.ended("nothing was heard for "+now.Sub(s.lastReceived).String(), false)
		}
		s.tested = true
		s.send(now, Message{TestRequest, []Field{{TestReqID, "T" + strconv.FormatUint(s.out, 10)}}})
	}
	if s.phase == open && !now.Before(s.lastSent.Add(s.heartbeat)) {
		s.send(now, Message{Heartbeat, nil})
	}
	return nil
}

func (s *Session) ended(reason string, logout bool) error {
	s.phase = off
	return &Ended{reason, logout}
}

// fail says goodbye because of the other end's fault.
func (s *Session) fail(now time.Time, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	s.send(now, Message{Logout, []Field{{Text, text}}})
	return s.ended(text, false)
}

// Receive takes a message of the other end. app is true where it is one for the application, the first time that it
// comes and in its order. The error is an *Ended.
func (s *Session) Receive(now time.Time, m Message) (app bool, err error) {
	s.lastReceived, s.tested = now, false
	if m.Get(SenderCompID) != s.config.Peer || m.Get(TargetCompID) != s.config.Self {
		return false, s.fail(now, "CompID problem: %s>%s is not %s>%s", m.Get(SenderCompID), m.Get(TargetCompID), s.config.Peer, s.config.Self)
	}
	seq, err := m.Number(MsgSeqNum)
	if err != nil || seq == 0 {
		return false, s.fail(now, "MsgSeqNum is missing or no number")
	}
	if s.phase == off || s.phase == opening {
		return false, s.logon(now, m, seq)
	}
	if m.Type == SequenceReset && m.Get(GapFillFlag) != "Y" {
		return false, s.reset(now, m, seq) // its own number does not count
	}
	switch {
	case seq < s.in && m.Get(PossDupFlag) == "Y":
		return false, nil // it was here before
	case seq < s.in:
		return false, s.fail(now, "MsgSeqNum too low, expecting %d but received %d", s.in, seq)
	case seq > s.in:
		return false, s.gap(now, m, seq)
	}
	s.in++
	if s.in > s.asked {
		s.asked = 0
	}
	return s.take(now, m, seq)
}

// gap handles a message whose number is too high: what is missing is asked for once, and the message is to come again
// with it. A resend request and a logout are answered all the same, so that two ends that both miss something, or one
// that wants to go, are not stuck (FIX 4.4, volume 2, "message recovery").
func (s *Session) gap(now time.Time, m Message, seq uint64) error {
	switch m.Type {
	case Logout:
		_, err := s.take(now, m, seq)
		return err
	case ResendRequest:
		if _, err := s.take(now, m, seq); err != nil {
			return err
		}
	}
	if s.asked == 0 {
		s.send(now, Message{ResendRequest, []Field{Int(BeginSeqNo, s.in), Int(EndSeqNo, 0)}})
	}
	s.asked = max(s.asked, seq)
	return nil
}

// logon takes the first message of a connection.
func (s *Session) logon(now time.Time, m Message, seq uint64) error {
	if m.Type == Logout && s.phase == opening {
		return s.ended("the logon was refused: "+m.Get(Text), false)
	}
	if m.Type != Logon {
		return s.fail(now, "the first message must be a logon")
	}
	reset := m.Get(ResetSeqNumFlag) == "Y"
	if reset && seq != 1 {
		return s.fail(now, "a logon that resets the numbers must have the number 1")
	}
	if s.phase == off {
		beat, err := m.Number(HeartBtInt)
		if err != nil || time.Duration(beat) > MaxHeartbeat/time.Second {
			return s.fail(now, "HeartBtInt must be from 0 to %d seconds", MaxHeartbeat/time.Second)
		}
		s.heartbeat = time.Duration(beat) * time.Second
		if reset {
			s.out, s.in, s.sent = 1, 1, nil
		}
	} else if reset {
		s.in = 1
	}
	if seq < s.in {
		return s.fail(now, "MsgSeqNum too low, expecting %d but received %d", s.in, seq)
	}
	if s.phase == off {
		fields := []Field{Int(EncryptMethod, 0), Int(HeartBtInt, int(s.heartbeat/time.Second))}
		if reset {
			fields = append(fields, Field{ResetSeqNumFlag, "Y"})
		}
		s.send(now, Message{Logon, append(fields, s.config.LogonFields...)})
	}
	s.phase = open
	if seq > s.in {
		return s.gap(now, m, seq)
	}
	s.in++
	return nil
}

// take handles a message in its order.
func (s *Session) take(now time.Time, m Message, seq uint64) (app bool, err error) {
	switch m.Type {
	case Heartbeat, Reject:
	case TestRequest:
		if id := m.Get(TestReqID); id != "" {
			s.send(now, Message{Heartbeat, []Field{{TestReqID, id}}})
		} else {
			s.reject(now, seq, "TestReqID is missing")
		}
	case ResendRequest:
		s.resend(now, m, seq)
	case SequenceReset: // a gap fill
		next, err := m.Number(NewSeqNo)
		if err != nil || next < s.in {
			s.reject(now, seq, "NewSeqNo must be a number above MsgSeqNum")
			return false, nil
		}
		s.in = next
		if s.in > s.asked {
			s.asked = 0
		}
	case Logout:
		if s.phase != closing {
			s.send(now, Message{Logout, nil})
		}
		reason := "logout"
		if text := m.Get(Text); text != "" {
			reason += ": " + text
		}
		return false, s.ended(reason, true)
	case Logon:
		s.reject(now, seq, "the session is open already")
	default:
		return true, nil
	}
	return false, nil
}

func (s *Session) reject(now time.Time, seq uint64, text string) {
	s.send(now, Message{Reject, []Field{Int(RefSeqNum, seq), {Text, text}}})
}

// reset takes a sequence reset that is no gap fill: the other end has lost its messages.
func (s *Session) reset(now time.Time, m Message, seq uint64) error {
	next, err := m.Number(NewSeqNo)
	if err != nil || next < s.in {
		s.reject(now, seq, fmt.Sprintf("NewSeqNo must be at least %d", s.in))
		return nil
	}
	s.in, s.asked = next, 0
	return nil
}

// resend sends again what the other end asks for. Messages of the session, and those that are kept no longer, become gaps
// that are filled: an old heartbeat or an old price is of no use to anybody.
func (s *Session) resend(now time.Time, m Message, seq uint64) {
	from, err := m.Number(BeginSeqNo)
	to, err2 := m.Number(EndSeqNo)
	if errors.Join(err, err2) != nil || from == 0 || from >= s.out || to != 0 && to < from {
		s.reject(now, seq, "BeginSeqNo and EndSeqNo name no messages that were sent")
		return
	}
	last := s.out - 1
	if to != 0 {
		last = min(to, last)
	}
	next := from // the first that is neither sent again nor filled
	fill := func(until uint64) {
		if next < until {
			s.again(now, Message{SequenceReset, []Field{{GapFillFlag, "Y"}, Int(NewSeqNo, until)}}, next, now)
		}
	}
	for _, old := range s.sent {
		if old.seq < from || old.seq > last {
			continue
		}
		fill(old.seq)
		s.again(now, old.body, old.seq, old.at)
		next = old.seq + 1
	}
	fill(last + 1)
}
