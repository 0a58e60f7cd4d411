package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/text"
)

// timeSteps are the distances between marks of a clock, in seconds.
var timeSteps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600,
	86400, 2 * 86400, 7 * 86400, 30 * 86400}

// timeStep is the distance between marks of a time axis, of which there are about n.
func timeStep(end float64, n int) float64 {
	want := end / float64(n)
	if want < 1 {
		return roundStep(want)
	}
	for _, step := range timeSteps {
		if step >= want {
			return step
		}
	}
	return 86400 * roundStep(want/86400)
}

// roundStep is 1, 2 or 5 times a power of ten, and not less than what is wanted.
func roundStep(want float64) float64 {
	if !(want > 0) || math.IsInf(want, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(want)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= want*0.999 {
			return f * power
		}
	}
	return 10 * power
}

// ticks are the multiples of a step up to an end. There are not many, whatever the numbers.
func ticks(end, step float64) (list []float64) {
	for i := range 50 {
		v := float64(i) * step
		if v > end*1.0001 {
			break
		}
		list = append(list, v)
	}
	return list
}

// timeTicks are those of a time axis.
func timeTicks(end float64, n int) []float64 { return ticks(end, timeStep(end, n)) }

// tickTime is a mark of a time axis, in the unit of its end.
func tickTime(v, end float64) string {
	switch {
	case v == 0:
		return "0"
	case end < 0.001:
		return decimal(v*1e6) + " µs"
	case end < 1:
		return decimal(v*1e3) + " ms"
	case end < 120:
		return decimal(v) + " s"
	case v < 60:
		return fmt.Sprintf("%.0fs", v)
	case math.Mod(v, 86400) == 0:
		return fmt.Sprintf("%.0fd", v/86400)
	case math.Mod(v, 3600) == 0 && v < 86400:
		return fmt.Sprintf("%.0fh", v/3600)
	case math.Mod(v, 60) == 0 && v < 3600:
		return fmt.Sprintf("%.0fm", v/60)
	}
	return text.Span(seconds(v))
}

// scale is the top of an axis of numbers with its ticks, of which there are about four.
func scale(most float64) (top float64, list []float64) {
	if !(most > 0) {
		most = 1
	}
	step := roundStep(most / 4)
	top = max(1, math.Ceil(most/step-1e-6)) * step
	return top, ticks(top, step)
}

// sizeScale is the same for bytes, whose units are powers of 1024.
func sizeScale(most float64) (top float64, list []float64) {
	if !(most > 0) {
		most = 1
	}
	step := 1.0
	for step*4 < most {
		step *= 2
	}
	top = max(1, math.Ceil(most/step-1e-6)) * step
	return top, ticks(top, step)
}

// sizeTick is a mark of an axis of bytes.
func sizeTick(f float64) string {
	if f == 0 {
		return "0"
	}
	return strings.Replace(size(f), ".0", "", 1)
}
