package project

import "testing"

// The published schema is that of the parser.
func TestSchemaIsMade(t *testing.T) { golden(t, "schema.json", string(makeSchema())) }
