package fix

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// pair is both ends of a session with a line in between.
type pair struct {
	t        *testing.T
	now      time.Time
	buyer    *Session // initiates
	seller   *Session
	got      []string // texts that the buyer's application got
	lost     func() bool
	ends     []error // with which ends the ends ended
	messages []string
}

func newPair(t *testing.T) *pair {
	return &pair{t: t, now: noon, lost: func() bool { return false },
		buyer:  NewSession(Config{Self: "BUYER", Peer: "SELLER", Heartbeat: 10 * time.Second}),
		seller: NewSession(Config{Self: "SELLER", Peer: "BUYER"})}
}

// settle carries messages until there are none.
func (p *pair) settle() {
	for range 10_000 {
		out, back := p.buyer.Out(), p.seller.Out()
		if len(out)+len(back) == 0 {
			return
		}
		p.carry(out, p.seller)
		p.carry(back, p.buyer)
	}
	p.t.Fatalf("the ends never stop: %v", p.messages[len(p.messages)-10:])
}

func (p *pair) carry(messages []Message, to *Session) {
	for _, m := range messages {
		p.messages = append(p.messages, fmt.Sprintf("%s %s #%s", m.Get(SenderCompID), m.Type, m.Get(MsgSeqNum)))
		if p.lost() {
			continue
		}
		app, err := to.Receive(p.now, m)
		if err != nil {
			p.ends = append(p.ends, err)
		}
		if app && to == p.buyer {
			p.got = append(p.got, m.Get(Text))
		}
	}
}

func (p *pair) say(text string) { p.seller.Send(p.now, Message{"B", []Field{{Text, text}}}) }

func (p *pair) connect(reset bool) {
	p.t.Helper()
	p.buyer.Connect(p.now, reset)
	p.settle()
	if !p.buyer.Open() || !p.seller.Open() {
		p.t.Fatalf("the session is not open: %v %v", p.ends, p.messages)
	}
}

func TestLogonTalkLogout(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	p.say("one")
	p.say("two")
	p.settle()
	p.seller.Logout(p.now, "it is late")
	p.settle()
	if got := strings.Join(p.got, ","); got != "one,two" {
		t.Errorf("got %s", got)
	}
	if len(p.ends) != 2 || p.buyer.Open() || p.seller.Open() {
		t.Fatalf("ends: %v", p.ends)
	}
	for _, err := range p.ends {
		if e := new(Ended); !errors.As(err, &e) || !e.Logout {
			t.Errorf("ended with %v", err)
		}
	}
	if !strings.Contains(p.ends[0].Error(), "it is late") {
		t.Errorf("reason: %v", p.ends[0])
	}
}

// TestNumbersOutliveConnections breaks the line while messages are on it: they come after the next logon, in order, and once.
func TestNumbersOutliveConnections(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	p.say("one")
	p.settle()
	p.say("two") // sent, and lost with the connection
	p.seller.Out()
	p.buyer.Disconnect()
	p.seller.Disconnect()
	p.connect(false)
	p.say("three")
	p.settle()
	if got := strings.Join(p.got, ","); got != "one,two,three" {
		t.Errorf("got %s by %v", got, p.messages)
	}
}

func TestResetForgets(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	p.say("one")
	p.seller.Out()
	p.buyer.Disconnect()
	p.seller.Disconnect()
	p.connect(true)
	p.say("two")
	p.settle()
	if got := strings.Join(p.got, ","); got != "two" {
		t.Errorf("got %s", got)
	}
}

// TestLossyLine loses messages at random for a while. When it loses none any more, everything has come, in order, and once.
func TestLossyLine(t *testing.T) {
	for seed := range uint64(50) {
		p := newPair(t)
		p.connect(true)
		random := rand.New(rand.NewPCG(seed, 7))
		p.lost = func() bool { return random.IntN(3) == 0 }
		var want []string
		for i := range 40 {
			want = append(want, fmt.Sprint(i))
			p.say(want[i])
			if random.IntN(2) == 0 {
				p.settle()
			}
		}
		p.settle()
		p.lost = func() bool { return false }
		// The end of the traffic may be lost without a gap to see it by. Heartbeats show it; a connection anew would as well.
		p.now = p.now.Add(10 * time.Second)
		for _, s := range []*Session{p.buyer, p.seller} {
			if err := s.Tick(p.now); err != nil {
				t.Fatal(err)
			}
		}
		p.settle()
		if strings.Join(p.got, ",") != strings.Join(want, ",") {
			p.buyer.Disconnect()
			p.seller.Disconnect()
			p.connect(false)
			p.say("last")
			want = append(want, "last")
			p.settle()
		}
		if got := strings.Join(p.got, ","); got != strings.Join(want, ",") {
			t.Fatalf("seed %d: got %s", seed, got)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	for range 30 { // nobody says anything for five minutes
		p.now = p.now.Add(10 * time.Second)
		for _, s := range []*Session{p.buyer, p.seller} {
			if s.Due().After(p.now) {
				t.Fatalf("due at %v, now is %v", s.Due(), p.now)
			}
			if err := s.Tick(p.now); err != nil {
				t.Fatal(err)
			}
		}
		p.settle()
	}
	if !p.buyer.Open() || !p.seller.Open() {
		t.Error("the session ended")
	}
	// The other end is silent: a test request after 12 s, the end after 24 s.
	last := p.now
	p.lost = func() bool { return true }
	p.now = last.Add(12 * time.Second)
	if err := p.buyer.Tick(p.now); err != nil {
		t.Fatal(err)
	}
	out := p.buyer.Out()
	if len(out) != 2 && len(out) != 1 || out[0].Type != TestRequest {
		t.Fatalf("sent %+v", out)
	}
	if want := last.Add(22 * time.Second); !p.buyer.Due().Equal(want) { // a heartbeat of its own
		t.Errorf("due %v, want %v", p.buyer.Due(), want)
	}
	p.now = last.Add(24 * time.Second)
	if err := p.buyer.Tick(p.now); err == nil || !strings.Contains(err.Error(), "nothing was heard for 24s") {
		t.Errorf("tick: %v", err)
	}
}

func TestTestRequestIsAnswered(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	if _, err := p.seller.Receive(p.now, message("2", TestRequest, Field{TestReqID, "hello"})); err != nil {
		t.Fatal(err)
	}
	if out := p.seller.Out(); len(out) != 1 || out[0].Type != Heartbeat || out[0].Get(TestReqID) != "hello" {
		t.Errorf("sent %+v", out)
	}
	if _, err := p.seller.Receive(p.now, message("3", TestRequest)); err != nil {
		t.Fatal(err)
	}
	if out := p.seller.Out(); len(out) != 1 || out[0].Type != Reject || out[0].Get(MsgSeqNum) != "3" {
		t.Errorf("sent %+v", out)
	}
}

// message is one of the buyer.
func message(seq, kind string, fields ...Field) Message {
	return Message{kind, append([]Field{{SenderCompID, "BUYER"}, {TargetCompID, "SELLER"}, {MsgSeqNum, seq}}, fields...)}
}

func TestReceiveRefuses(t *testing.T) {
	logon := message("1", Logon, Int(EncryptMethod, 0), Int(HeartBtInt, 30))
	tests := []struct {
		name, want string
		messages   []Message
	}{
		{"not a logon", "first message must be a logon", []Message{message("1", Heartbeat)}},
		{"another's", "CompID problem", []Message{{Logon, []Field{{SenderCompID, "BUYER"}, {TargetCompID, "OTHER"}, {MsgSeqNum, "1"}}}}},
		{"no number", "MsgSeqNum is missing", []Message{{Logon, []Field{{SenderCompID, "BUYER"}, {TargetCompID, "SELLER"}}}}},
		{"heartbeat", "HeartBtInt", []Message{message("1", Logon, Int(HeartBtInt, 3601))}},
		{"no heartbeat", "HeartBtInt", []Message{message("1", Logon)}},
		{"reset with another number", "must have the number 1", []Message{message("2", Logon, Int(HeartBtInt, 30), Field{ResetSeqNumFlag, "Y"})}},
		{"too low", "MsgSeqNum too low, expecting 2 but received 1", []Message{logon, message("1", Heartbeat)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSession(Config{Self: "SELLER", Peer: "BUYER"})
			var err error
			for _, m := range tt.messages {
				if _, err = s.Receive(noon, m); err != nil {
					break
				}
			}
			if e := new(Ended); !errors.As(err, &e) || e.Logout || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("ended with %v, want %q", err, tt.want)
			}
			if out := s.Out(); len(out) == 0 || out[len(out)-1].Type != Logout || !strings.Contains(out[len(out)-1].Get(Text), tt.want) {
				t.Errorf("sent %+v", out)
			}
		})
	}
}

func TestSequenceResets(t *testing.T) {
	s := NewSession(Config{Self: "SELLER", Peer: "BUYER"})
	receive := func(m Message, sent ...string) {
		t.Helper()
		if _, err := s.Receive(noon, m); err != nil {
			t.Fatal(err)
		}
		var types []string
		for _, m := range s.Out() {
			types = append(types, m.Type)
		}
		if strings.Join(types, "") != strings.Join(sent, "") {
			t.Errorf("after %s #%s it sent %v, want %v", m.Type, m.Get(MsgSeqNum), types, sent)
		}
	}
	receive(message("1", Logon, Int(HeartBtInt, 30)), Logon)
	receive(message("5", Heartbeat), ResendRequest)
	receive(message("6", Heartbeat)) // asked for already
	receive(message("2", SequenceReset, Field{GapFillFlag, "Y"}, Int(NewSeqNo, 7), Field{PossDupFlag, "Y"}))
	receive(message("7", Heartbeat))
	receive(message("3", Heartbeat, Field{PossDupFlag, "Y"})) // was here before
	receive(message("1", SequenceReset, Int(NewSeqNo, 100)))
	receive(message("100", Heartbeat))
	receive(message("9", SequenceReset, Int(NewSeqNo, 50)), Reject)
	receive(message("101", ResendRequest, Int(BeginSeqNo, 9), Int(EndSeqNo, 0)), Reject)
	receive(message("102", SequenceReset, Field{GapFillFlag, "Y"}, Int(NewSeqNo, 3)), Reject)
	receive(message("103", Logon, Int(HeartBtInt, 30)), Reject)
}

// TestKeptIsBounded asks for more than is kept.
func TestKeptIsBounded(t *testing.T) {
	p := newPair(t)
	p.connect(true)
	for i := range Kept + 100 {
		p.say(fmt.Sprint(i))
	}
	p.seller.Out() // lost
	p.say("end")
	p.settle()
	if len(p.got) != Kept || p.got[0] != "101" || p.got[Kept-1] != "end" {
		t.Errorf("got %d, from %s to %s", len(p.got), p.got[0], p.got[len(p.got)-1])
	}
}

// FuzzReceive gives a session messages that may be anything: it neither panics nor sends without an end.
func FuzzReceive(f *testing.F) {
	f.Add("A", "1", "108=30", "2", "2", "7=1|16=0")
	f.Add("A", "1", "108=30|141=Y", "4", "2", "123=Y|36=9")
	f.Fuzz(func(t *testing.T, type1, seq1, fields1, type2, seq2, fields2 string) {
		s := NewSession(Config{Self: "SELLER", Peer: "BUYER"})
		for _, in := range [][3]string{{type1, seq1, fields1}, {type2, seq2, fields2}} {
			m, err := parse(bar("35=" + in[0] + "|49=BUYER|56=SELLER|34=" + in[1] + "|" + in[2] + "|"))
			if err != nil {
				return
			}
			if _, err := s.Receive(noon, m); err != nil {
				return
			}
			if out := s.Out(); len(out) > 4 {
				t.Errorf("%d messages in answer to one", len(out))
			}
			if err := s.Tick(noon.Add(time.Hour)); err != nil {
				return
			}
			s.Send(noon, Message{"B", []Field{{Text, "x"}}})
		}
	})
}
