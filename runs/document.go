package runs

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// document is a value that a column holds as JSON.
type document[T any] struct{ V T }

func doc[T any](v T) document[T] { return document[T]{v} }

// Value implements driver.Valuer.
func (d document[T]) Value() (driver.Value, error) {
	b, err := json.Marshal(d.V)
	return string(b), err
}

// Scan implements sql.Scanner.
func (d *document[T]) Scan(v any) error {
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
	return fmt.Errorf("a document is kept as text, not as %T", v)
}
