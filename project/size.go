package project

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Size is a number of bytes that files and JSON have as text with a binary unit: "256Mi", "2Gi".
type Size int64

var (
	sizeText  = lazy.New(`^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti)$`)
	sizeUnits = []string{"Ki", "Mi", "Gi", "Ti"}
)

// maxSize is more memory than a machine has.
const maxSize = 1 << 50

func parseSize(text string) (Size, error) {
	n, err := strconv.ParseFloat(text[:len(text)-2], 64)
	if err != nil {
		return 0, errors.New("the number is too large")
	}
	for _, u := range sizeUnits {
		if n *= 1024; strings.HasSuffix(text, u) {
			break
		}
	}
	if n > maxSize {
		return 0, errors.New("it is more than 1024Ti")
	}
	return Size(n), nil
}

// String returns the size in the largest unit that divides it.
func (s Size) String() string {
	if s == 0 {
		return "0Ki"
	}
	unit := 0
	for s%1024 == 0 && unit < len(sizeUnits) {
		s /= 1024
		unit++
	}
	if unit == 0 {
		return strconv.FormatFloat(float64(s)/1024, 'f', -1, 64) + "Ki"
	}
	return strconv.FormatInt(int64(s), 10) + sizeUnits[unit-1]
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(b []byte) error {
	if !sizeText.Match(b) {
		return fmt.Errorf("%q is no size such as 256Mi", b)
	}
	v, err := parseSize(string(b))
	if err != nil {
		return fmt.Errorf("size %q: %w", b, err)
	}
	*s = v
	return nil
}

func size(dst *Size, what string, least Size) bind.Value {
	return bind.Parsed(dst, what, bind.Grammar[Size]{
		Form: "a size with a binary unit, such as 256Mi or 2Gi", Pattern: sizeText,
		Parse: func(text string) (Size, error) {
			s, err := parseSize(text)
			if err == nil && s < least {
				err = fmt.Errorf("the least is %s", least)
			}
			return s, err
		},
		Format: func(s Size) string {
			if s == 0 {
				return ""
			}
			return s.String()
		},
	})
}
