package jobs

// Page is a part of a list. Next, where not empty, is given to get the part after it.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// ListOptions bound a list. Limit is 1 to 200; 0: 50. After is a Page's Next.
type ListOptions struct {
	Limit int
	After string
}
