package protocol

import "fmt"

// nonsense counts what a decoder ignores because it means nothing.
type nonsense struct {
	times int
	first error
}

// Ignored returns how often something was ignored because it means nothing, and what it
// was the first time.
func (n *nonsense) Ignored() (times int, first error) { return n.times, n.first }

func (n *nonsense) ignore(format string, args ...any) {
	if n.times++; n.first == nil {
		n.first = fmt.Errorf(format, args...)
	}
}
