//go:build !unix

package agent

import "context"

// TakeOver is Open: descriptors cannot be passed here.
func TakeOver(ctx context.Context, o Options) (*Host, error) { return Open(ctx, o) }

// HandOver is Run: descriptors cannot be passed here.
func (h *Host) HandOver(ctx context.Context) error { return h.Run(ctx) }
