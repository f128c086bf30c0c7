package analysis

import "fmt"

// Verdict is what is said of a metric, and of a release.
type Verdict string

const (
	// Pass says that there was enough to judge by, and nothing was found.
	Pass Verdict = "pass"
	// Inconclusive says that there was too little to judge by.
	Inconclusive Verdict = "inconclusive"
	// Error says that measuring itself failed.
	Error Verdict = "error"
	// Fail says that the canary is worse.
	Fail Verdict = "fail"
)

// severity orders verdicts; the zero value and strangers are as bad as an error.
func (v Verdict) severity() int {
	switch v {
	case Pass:
		return 0
	case Inconclusive:
		return 1
	case Fail:
		return 3
	}
	return 2
}

// Worse reports whether v is a worse verdict than o: pass, inconclusive, error, fail.
func (v Verdict) Worse(o Verdict) bool { return v.severity() > o.severity() }

// MarshalText implements [encoding.TextMarshaler]; what is no verdict is an error.
func (v Verdict) MarshalText() ([]byte, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	return []byte(v), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *Verdict) UnmarshalText(b []byte) error {
	got := Verdict(b)
	if err := got.check(); err != nil {
		return err
	}
	*v = got
	return nil
}

func (v Verdict) check() error {
	switch v {
	case Pass, Inconclusive, Error, Fail:
		return nil
	}
	return fmt.Errorf("%q is no verdict; there are pass, inconclusive, error and fail", string(v))
}
