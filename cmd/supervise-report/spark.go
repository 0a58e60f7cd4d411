package main

import (
	"math"
	"strings"
)

var levels = []rune("▁▂▃▄▅▆▇█")

// spark draws values as a line of blocks; what is not known is a blank.
func spark(values []float64, top float64) string {
	var b strings.Builder
	for _, v := range values {
		switch {
		case !known(v):
			b.WriteByte(' ')
		case top > 0:
			b.WriteRune(levels[min(len(levels)-1, max(0, int(v/top*float64(len(levels)-1)+0.5)))])
		default:
			b.WriteRune(levels[0])
		}
	}
	return b.String()
}

// overSpans are the means of a rate in n equal parts of the time; nil: nothing of it is known.
func overSpans(spans []span, end float64, n int, of func(span) float64) []float64 {
	total, weight := make([]float64, n), make([]float64, n)
	for _, s := range spans {
		if v := of(s); known(v) {
			spread(total, end, s.from, s.to, v)
			spread(weight, end, s.from, s.to, 1)
		}
	}
	any := false
	for i := range total {
		if weight[i] < 1e-9 {
			total[i] = unknownNumber
			continue
		}
		total[i] /= weight[i]
		any = true
	}
	if !any {
		return nil
	}
	return total
}

// overPoints are the highest values in n equal parts of the time, each until the next one; nil: nothing
// of it is known.
func overPoints(points []point, end float64, n int, of func(point) float64) (list []float64) {
	any := false
	for range n {
		list = append(list, unknownNumber)
	}
	for _, p := range points {
		v := of(p)
		i := min(n-1, int(p.at/end*float64(n)))
		if any = any || known(v); known(v) && !(v <= list[i]) {
			list[i] = v
		}
	}
	if !any {
		return nil
	}
	last := unknownNumber
	for i, v := range list {
		if !known(v) && float64(i) <= points[len(points)-1].at/end*float64(n) {
			list[i] = last
		}
		last = list[i]
	}
	return list
}

// stretch draws a part of a line: from one share of it to another.
func stretch(from, to float64, columns int) string {
	if columns == 0 {
		return ""
	}
	a := min(columns-1, int(from*float64(columns)))
	b := max(a+1, min(columns, int(math.Round(to*float64(columns)))))
	return strings.Repeat("·", a) + strings.Repeat("█", b-a) + strings.Repeat("·", columns-b)
}
