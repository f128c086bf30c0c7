package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// JSON is a value that a column holds as JSON text: $JSON in migrations.
type JSON[T any] struct{ V T }

// AsJSON wraps a value for a column.
func AsJSON[T any](v T) JSON[T] { return JSON[T]{v} }

// Value implements driver.Valuer.
func (d JSON[T]) Value() (driver.Value, error) {
	b, err := json.Marshal(d.V)
	return string(b), err
}

// Scan implements sql.Scanner.
func (d *JSON[T]) Scan(v any) error {
	var zero T
	d.V = zero
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), &d.V)
	case []byte:
		return json.Unmarshal(v, &d.V)
	}
	return fmt.Errorf("JSON is kept as text, not as %T", v)
}
