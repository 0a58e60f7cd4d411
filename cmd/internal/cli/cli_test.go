package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

func TestOneLine(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"plain", a, "a"},
		{"wrapped", fmt.Errorf("doing it: %w", a), "doing it: a"},
		{"one joined", errors.Join(a), "a"},
		{"two", errors.Join(a, b), "a; b"},
		{"nil between", errors.Join(a, nil, b), "a; b"},
		{"left", errors.Join(errors.Join(a, b), c), "a; b; c"},
		{"right", errors.Join(a, errors.Join(b, c)), "a; b; c"},
		{"deep", errors.Join(errors.Join(errors.Join(a)), errors.Join(errors.Join(b, c))), "a; b; c"},
		{"wrapped inside", errors.Join(fmt.Errorf("doing it: %w", a), b), "doing it: a; b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := OneLine(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestComplain(t *testing.T) {
	err := errors.Join(errors.New("a"), errors.New("b"))
	if got := golden.Capture(t, 2, func() { (&Program{Name: "supervise"}).Complain(err) }); got != "supervise: a; b\n" {
		t.Errorf("got %q", got)
	}
}
