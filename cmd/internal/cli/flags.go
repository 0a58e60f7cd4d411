package cli

import (
	"errors"
	"fmt"
	"strings"
)

// A Flag sets one option of type O.
type Flag[O any] struct {
	Name     string // without dashes
	Short    string // "-p"; "": none
	Switch   bool   // it takes no value, and Set gets ""
	Optional bool   // it takes a value only with =, and else Set gets ""
	Value    string // what it takes, for completions: words with | between them, FILE, DIRECTORY, SIGNAL or PROPERTY; "": that is not said
	Internal bool   // one supervise says it to another: it is explained nowhere
	Set      func(o *O, value string) error
}

// Flags is the table of flags of a command.
type Flags[O any] struct {
	Command string // what each error begins with: "run: "; "": nothing
	Hint    string // how the flags can be listed
	// List is called when there is a flag among the arguments: of a short-lived program it
	// would be a fiftieth.
	List func() []Flag[O]
	// More finds a flag that is not in List, and MoreNames are the names it knows; both
	// may be nil.
	More      func(name string) *Flag[O]
	MoreNames func() []string
}

// An About is what a user knows of a flag.
type About struct {
	Name, Short      string
	Switch, Optional bool
	Value            string
}

// About lists the flags for what explains and completes them.
func (f *Flags[O]) About() (list []About) {
	all := f.List()
	if f.MoreNames != nil {
		for _, name := range f.MoreNames() {
			all = append(all, *f.More(name))
		}
	}
	for _, flag := range all {
		if !flag.Internal {
			list = append(list, About{flag.Name, flag.Short, flag.Switch, flag.Optional, flag.Value})
		}
	}
	return list
}

// Parse sets the options that args begin with, up to the first argument that is no flag,
// or to "--", which it drops. It returns the flags as they were given, each with its value,
// and what is behind them.
func (f *Flags[O]) Parse(o *O, args []string) (given [][]string, rest []string, err error) {
	rest = args
	var list []Flag[O]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") && rest[0] != "-" {
		if rest[0] == "--" {
			return given, rest[1:], nil
		}
		if list == nil {
			list = f.List()
		}
		n, err := f.parseOne(o, list, rest)
		if err != nil {
			return nil, nil, fmt.Errorf("%s%w", f.prefix(), err)
		}
		given, rest = append(given, rest[:n:n]), rest[n:]
	}
	return given, rest, nil
}

func (f *Flags[O]) prefix() string {
	if f.Command == "" {
		return ""
	}
	return f.Command + ": "
}

// parseOne sets the flag that args begin with and says how many arguments it took.
func (f *Flags[O]) parseOne(o *O, list []Flag[O], args []string) (n int, err error) {
	name, value, hasValue := strings.Cut(args[0], "=")
	flag := f.find(list, name)
	switch {
	case flag == nil:
		return 0, fmt.Errorf("no flag %s%s; %s", args[0], DidYouMean("--"+strings.TrimLeft(name, "-"), f.names(list)), f.Hint)
	case flag.Switch && hasValue:
		return 0, fmt.Errorf("--%s takes no value", flag.Name)
	case flag.Switch, flag.Optional && !hasValue:
		return 1, flag.Set(o, "")
	case hasValue:
		n = 1
	case len(args) < 2:
		return 0, fmt.Errorf("--%s needs a value", flag.Name)
	default:
		value, n = args[1], 2
	}
	if err := flag.Set(o, value); err != nil {
		return 0, fmt.Errorf("--%s %q: %w", flag.Name, value, err)
	}
	return n, nil
}

// find returns the flag of a name with its dashes; nil: there is none.
func (f *Flags[O]) find(list []Flag[O], name string) *Flag[O] {
	long, dashed := strings.CutPrefix(name, "--")
	for i := range list {
		if flag := &list[i]; dashed && flag.Name == long || name == flag.Short && name != "" {
			return flag
		}
	}
	if dashed && f.More != nil {
		return f.More(long)
	}
	return nil
}

func (f *Flags[O]) names(list []Flag[O]) (names []string) {
	for _, flag := range list {
		names = append(names, "--"+flag.Name)
	}
	if f.MoreNames != nil {
		for _, name := range f.MoreNames() {
			names = append(names, "--"+name)
		}
	}
	return names
}

// NotEmpty refuses an empty value.
func NotEmpty(value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// DidYouMean names the nearest of the known words, if one is near: "; did you mean run?".
func DidYouMean(word string, known []string) string {
	best, least := "", len(word)/2+1
	if len(word) > 50 {
		return "" // no misspelling, and the time grows with its length
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
