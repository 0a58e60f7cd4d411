package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/protocol"
)

// summary is the record for people, a few aligned lines.
func summary(r *protocol.Record) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", key+":", fmt.Sprintf(format, args...))
	}
	line("command", "%s", quoted(r.Argv))
	line("ended", "%s", ending(r))
	line("wall", "%s", seconds(&r.WallS))
	line("cpu", "user %s, system %s", seconds(r.CPU.UserS), seconds(r.CPU.SystemS))
	line("processes", "%d reaped", r.Reaped)
	for _, l := range r.Leftovers {
		line("leftover", "%s", leftover(l))
	}
	if r.LeftoversTotal != nil && *r.LeftoversTotal > len(r.Leftovers) {
		line("leftover", "and %d more", *r.LeftoversTotal-len(r.Leftovers))
	}
	if r.Containment != "" {
		line("containment", "%s", containment(r))
	}
	if r.Error != nil {
		line("error", "%s", *r.Error)
	}
	return b.String()
}

func leftover(l protocol.Leftover) string {
	s := fmt.Sprintf("%s (%d), %s old, %s", quoted([]string{l.Comm}), l.PID, seconds(l.AgeS), size(l.RSSBytes))
	if len(l.Argv) > 0 {
		s += ": " + quoted(l.Argv)
	}
	return s
}

func ending(r *protocol.Record) string {
	switch {
	case r.Exit == nil:
		return string(r.Cause)
	case r.Exit.Code != nil:
		return fmt.Sprintf("%s, status %d", r.Cause, *r.Exit.Code)
	case r.Exit.Core:
		return fmt.Sprintf("%s, %s, core dumped", r.Cause, *r.Exit.Signal)
	}
	return fmt.Sprintf("%s, %s", r.Cause, *r.Exit.Signal)
}

func containment(r *protocol.Record) string {
	switch {
	case r.Cgroup != nil:
		return string(r.Containment) + " " + *r.Cgroup
	case r.ContainmentReason != nil:
		return string(r.Containment) + ", because: " + *r.ContainmentReason
	}
	return string(r.Containment)
}

// seconds rounds to what matters: microseconds below a second, else milliseconds.
func seconds(s *float64) string {
	if s == nil {
		return "unknown"
	}
	d := time.Duration(*s * 1e9)
	if d < time.Second {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func size(bytes *int64) string {
	if bytes == nil {
		return "size unknown"
	}
	return fmt.Sprintf("%.1f MiB", float64(*bytes)/(1<<20))
}

// quoted joins a command line so that it can be read, and pasted into a shell.
func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = quote(a)
	}
	return strings.Join(words, " ")
}

func quote(word string) string {
	switch {
	case strings.ContainsFunc(word, isUnprintable): // as $'...' of bash and others: nothing reaches the terminal raw
		q := strconv.Quote(word)
		return "$'" + strings.ReplaceAll(q[1:len(q)-1], "'", `\'`) + "'"
	case word == "" || strings.ContainsAny(word, " \"'\\$`*?[]{}()<>|&;#~"):
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

func isUnprintable(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }
