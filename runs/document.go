package runs

import "github.com/gantry-ops/gantry/store"

// document is a value that a column holds as JSON.
type document[T any] = store.JSON[T]

func doc[T any](v T) document[T] { return store.AsJSON(v) }
