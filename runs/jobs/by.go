package jobs

import "fmt"

// By is who asks for something.
type By struct {
	// Actor as events name it: "account:NAME", "token:ID", "forge:github", "gantry".
	Actor string
	// Name is shown to people.
	Name string
	// Account is the name of the account behind a session or a token; empty where there is none. Two decisions of one account are
	// those of one person, however it has signed in.
	Account string
}

// InvalidError is input that cannot be accepted, and where.
type InvalidError struct {
	// Field is the path in the input, in JSON's names: "source.url".
	Field string
	// Value is what was given, where that helps and is no secret.
	Value any
	// Message says what is expected: "must begin with a letter".
	Message string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%s %s", e.Field, e.Message) }
