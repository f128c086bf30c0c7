package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is a point in time as the database has it: microseconds since 1970 in UTC, 0 for none. In JSON it is RFC 3339, and
// absent (null) where there is none.
type Time struct{ time.Time }

// At makes a Time, in UTC and cut to microseconds.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{time.UnixMicro(t.UnixMicro()).UTC()}
}

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return int64(0), nil
	}
	return t.UnixMicro(), nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(v any) error {
	switch n := v.(type) {
	case nil:
		*t = Time{}
	case int64:
		*t = Time{}
		if n != 0 {
			t.Time = time.UnixMicro(n).UTC()
		}
	default:
		return fmt.Errorf("a time is kept as a number, not as %T", v)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().MarshalJSON()
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" || string(b) == `""` {
		*t = Time{}
		return nil
	}
	if err := t.Time.UnmarshalJSON(b); err != nil {
		return err
	}
	*t = At(t.Time)
	return nil
}
