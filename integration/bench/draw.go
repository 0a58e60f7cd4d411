package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
)

// Sizes of the picture, in its own units.
const (
	panelWidth, panelHeight = 430, 300
	left, right             = 60, 20
	top, bottom             = 40, 50
	columns                 = 2
)

// drawCurves writes an SVG with a panel for each curve, both axes logarithmic: a straight line that rises by one decade in a
// decade is linear.
func drawCurves(name string, curves []*curve) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	rows := (len(curves) + columns - 1) / columns
	fmt.Fprintf(f, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		columns*panelWidth, rows*panelHeight)
	fmt.Fprintln(f, `<rect width="100%" height="100%" fill="white"/>`)
	for i, c := range curves {
		fmt.Fprintf(f, `<g transform="translate(%d %d)">`+"\n", i%columns*panelWidth, i/columns*panelHeight)
		c.draw(f)
		fmt.Fprintln(f, "</g>")
	}
	fmt.Fprintln(f, "</svg>")
	return f.Close()
}

// A scale maps the decades from one to another to a range of the picture.
type scale struct{ first, last, from, to float64 }

// scaleFor has the decades that all values are in.
func scaleFor(values []float64, from, to float64) scale {
	s := scale{math.Inf(1), math.Inf(-1), from, to}
	for _, v := range values {
		s.first, s.last = min(s.first, math.Floor(math.Log10(v))), max(s.last, math.Ceil(math.Log10(v)))
	}
	s.last = max(s.last, s.first+1)
	return s
}

func (s scale) at(v float64) float64 {
	return s.from + (math.Log10(v)-s.first)/(s.last-s.first)*(s.to-s.from)
}

func (s scale) decades() (values []float64) {
	for d := s.first; d <= s.last; d++ {
		values = append(values, math.Pow(10, d))
	}
	return values
}

func (c *curve) draw(w io.Writer) {
	var sizes []float64
	for _, n := range c.sizes {
		sizes = append(sizes, float64(n))
	}
	x := scaleFor(sizes, left, panelWidth-right)
	y := scaleFor(append(append([]float64{}, c.least...), c.ours...), panelHeight-bottom, top)
	fmt.Fprintf(w, `<text x="%d" y="20" font-weight="bold">%s</text>`+"\n", left, c.title)
	for _, v := range x.decades() {
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x.at(v), panelHeight-bottom+18, number(v))
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+panelWidth-right)/2, panelHeight-bottom+36, c.unit)
	for _, v := range y.decades() {
		fmt.Fprintf(w, `<path d="M%d %.1f H%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s ms</text>`+"\n",
			left, y.at(v), panelWidth-right, left-6, y.at(v)+4, number(v))
	}
	for i, line := range []struct {
		name, colour string
		values       []float64
	}{{c.leastName, "#888", c.least}, {c.oursName, "#06c", c.ours}} {
		path := "M"
		for k, v := range line.values {
			path += fmt.Sprintf(" %.1f %.1f", x.at(sizes[k]), y.at(v))
			fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(sizes[k]), y.at(v), line.colour)
		}
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, line.colour)
		fmt.Fprintf(w, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+8, top+12+16*i, line.colour, line.name)
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
