package main

import (
	"fmt"

	"gonum.org/v1/plot/vg"
)

// histogram draws how many jobs have which value.
func histogram(l layout, d *distribution) *chart {
	bins, logarithmic := d.bins(24)
	most := 0
	for _, b := range bins {
		most = max(most, b.count)
	}
	top, ticks := scale(float64(max(most, 4)))
	l.width = l.histograms
	c := newChart(l, 130, margins{left: 40, right: 12, bottom: 22, top: 6}, [2]float64{0, float64(len(bins))}, [2]float64{0, top})
	c.upright(ticks, decimal)
	c.line(inkAxis, 1, nil, c.data.Min.X, c.data.Min.Y, c.data.Max.X, c.data.Min.Y)
	middle := d.quantile(0.5)
	for i, b := range bins {
		if b.count > 0 {
			c.box(inkPlain, c.x(float64(i))+0.5, c.data.Min.Y, c.x(float64(i+1))-0.5, max(c.y(float64(b.count)), c.data.Min.Y+1))
		}
		if i%(max(1, len(bins)/3)) == 0 {
			c.edge(float64(i), d.text(b.from))
		}
		if middle >= b.from && (middle <= b.to || i == len(bins)-1) {
			x := c.x(float64(i) + 0.5)
			c.line(inkText, 1, []vg.Length{3, 2}, x, c.data.Min.Y, x, c.data.Max.Y)
			middle = unknownNumber // it is drawn
		}
	}
	if n := len(bins); n > 1 {
		c.edge(float64(n), d.text(bins[n-1].to))
	}
	c.about = fmt.Sprintf("How many jobs have which %s", d.name)
	if logarithmic {
		c.about += ", in steps that grow"
	}
	return c
}

// edge labels the edge of a bin.
func (c *chart) edge(at float64, t string) {
	half := textWidth(t) / 2
	x := max(half, min(c.x(at), c.width-half))
	c.say(inkMuted, atMiddle, x, c.data.Min.Y-11, t)
}
