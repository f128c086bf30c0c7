package jobs

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// document is a column that holds JSON; empty text stands for none.
type document[T any] struct{ V *T }

func (d document[T]) Value() (driver.Value, error) {
	if d.V == nil {
		return "", nil
	}
	b, err := json.Marshal(d.V)
	return string(b), err
}

func (d *document[T]) Scan(v any) error {
	d.V = nil
	text, err := textOf(v)
	if err != nil || text == "" {
		return err
	}
	d.V = new(T)
	return json.Unmarshal([]byte(text), d.V)
}

// list is a column that holds a JSON array of texts; it is never null.
type list []string

func (l list) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	b, err := json.Marshal([]string(l))
	return string(b), err
}

func (l *list) Scan(v any) error {
	*l = list{}
	text, err := textOf(v)
	if err != nil || text == "" {
		return err
	}
	return json.Unmarshal([]byte(text), (*[]string)(l))
}

func textOf(v any) (string, error) {
	switch t := v.(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	case []byte:
		return string(t), nil
	}
	return "", fmt.Errorf("JSON is kept as text, not as %T", v)
}
