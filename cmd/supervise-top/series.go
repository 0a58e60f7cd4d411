package main

import "strings"

// A series is the last values of a number, one for each reading, oldest first.
type series struct{ values []float64 }

// longest is how many values are kept: more than any terminal is wide.
const longest = 512

func (s *series) add(v float64) {
	if len(s.values) == longest {
		copy(s.values, s.values[1:])
		s.values = s.values[:longest-1]
	}
	s.values = append(s.values, v)
}

// last is the newest value.
func (s *series) last() float64 {
	if len(s.values) == 0 {
		return 0
	}
	return s.values[len(s.values)-1]
}

var levels = []rune("▁▂▃▄▅▆▇█")

// spark draws the last values, as many as there are columns, the newest at the right end.
// The highest is top, or the largest of them if that is more; a space is where there is none.
func (s *series) spark(columns int, top float64) string {
	values := s.values[max(0, len(s.values)-columns):]
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", columns-len(values)))
	for _, v := range values {
		level := 0
		if top > 0 {
			level = int(v / top * float64(len(levels)-1))
		}
		b.WriteRune(levels[min(max(level, 0), len(levels)-1)])
	}
	return b.String()
}

// bar draws a part of a whole: ████▌    .
func bar(columns int, part float64) string {
	eighths := int(min(max(part, 0), 1)*float64(columns)*8 + 0.5)
	whole, rest := eighths/8, eighths%8
	text := strings.Repeat("█", whole)
	if rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		whole++
	}
	return text + strings.Repeat("·", columns-whole)
}
