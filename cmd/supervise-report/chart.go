package main

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// An ink is a colour by its name in the style sheet, where light and dark have their own. The
// library is given one that nothing else has, and the name takes its place in what it wrote.
type ink uint8

const (
	inkText ink = iota + 1
	inkMuted
	inkGrid
	inkAxis
	inkBar
	inkCPU
	inkMemory
	inkIO
	inkSoft  // of memory that can be dropped
	inkWrite // beside inkIO, for what is read
	inkBad
	inkWarn
	inkPlain // of what is no resource
	inkEdge  // around points
)

var inkNames = map[ink]string{
	inkText: "text", inkMuted: "muted", inkGrid: "grid", inkAxis: "axis", inkBar: "bar", inkCPU: "cpu", inkMemory: "memory",
	inkIO: "io", inkSoft: "soft", inkWrite: "write", inkBad: "bad", inkWarn: "warn", inkPlain: "plain", inkEdge: "page",
}

// waitInks are those of resources.
var waitInks = [3]ink{inkCPU, inkMemory, inkIO}

// RGBA implements color.Color.
func (i ink) RGBA() (r, g, b, a uint32) { return color.RGBA{R: 1, B: uint8(i), A: 0xff}.RGBA() }

// faint is an ink through which the lines behind it are seen.
func (i ink) faint() color.Color { return color.RGBA{R: 2, B: uint8(i), A: 0xff} }

var inksToNames = func() *strings.Replacer {
	var pairs []string
	for i, name := range inkNames {
		pairs = append(pairs, fmt.Sprintf("#0100%02X", uint8(i)), "var(--"+name+")", fmt.Sprintf("#0200%02X", uint8(i)), "var(--"+name+");fill-opacity:.18")
	}
	return strings.NewReplacer(pairs...)
}()

// A layout is the size of charts: there is one for screens and paper, and one for telephones.
type layout struct {
	class      string // of the style sheet, which shows the one that fits
	width      vg.Length
	label      vg.Length // room for the names of jobs
	ticks      int       // along the time, about
	points     int       // of a line, at most
	histograms vg.Length // width of one
}

var (
	wide   = layout{"wide", 960, 230, 10, mostPoints, 300}
	half   = layout{"wide", 530, 150, 6, 160, 300} // of two side by side
	narrow = layout{"narrow", 350, 110, 4, 100, 350}
)

// axisRoom is that of the numbers left of a chart.
const axisRoom = 52

// fontSize is that of all text in charts. A fallback for the font may be wider: slack is what is
// reserved for it.
const (
	fontSize = 11
	slack    = 1.17
)

// A chart is drawn by the library: Data is the area of the values, all is what the picture has.
type chart struct {
	layout
	height vg.Length
	svg    *vgsvg.Canvas
	all    draw.Canvas
	data   draw.Canvas
	plot   *plot.Plot
	xs, ys [2]float64 // the first and the last value
	texts  strings.Builder
	about  string // for those who do not see it
}

// margins are around the data.
type margins struct{ left, right, bottom, top vg.Length }

// newChart begins a chart of values from 0, or from the first of a range, to the last.
func newChart(l layout, height vg.Length, m margins, x, y [2]float64) *chart {
	c := &chart{layout: l, height: height, svg: vgsvg.New(l.width, height), plot: plot.New(), xs: x, ys: y}
	c.all = draw.New(c.svg)
	c.data = draw.Crop(c.all, m.left, -m.right, m.bottom, -m.top)
	c.plot.BackgroundColor = nil
	c.plot.HideAxes()
	c.plot.X.Padding, c.plot.Y.Padding = 0, 0
	c.keepRange()
	return c
}

// keepRange undoes that what is added extends the range.
func (c *chart) keepRange() {
	c.plot.X.Min, c.plot.X.Max, c.plot.Y.Min, c.plot.Y.Max = c.xs[0], c.xs[1], c.ys[0], c.ys[1]
}

// add adds what the library draws.
func (c *chart) add(p plot.Plotter) {
	c.plot.Add(p)
	c.keepRange()
}

// handler knows the font that charts are measured by.
var handler = text.Plain{Fonts: font.NewCache(liberation.Collection())}

var measured = text.Style{Handler: handler, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: fontSize}}

// textWidth is how wide a text may be. The font has only the letters of some scripts.
func textWidth(t string) vg.Length {
	w := measured.Width(t)
	for _, r := range t {
		if r >= 0x0590 {
			w += fontSize
		}
	}
	return w * slack
}

// fit cuts a text to a width, with an ellipsis for its middle: the commands of a build differ at their ends.
func fit(t string, width vg.Length) string {
	t = short(t, 400) // measuring takes its time
	if textWidth(t) <= width {
		return t
	}
	runes := []rune(t)
	shortened := func(n int) string { // n letters of it
		head := n * 2 / 5
		return strings.TrimRight(string(runes[:head]), " ") + "…" + strings.TrimLeft(string(runes[len(runes)-n+head:]), " ")
	}
	low, high := 0, len(runes) // so many fit, so many do not
	for high-low > 1 {
		if mid := (low + high) / 2; textWidth(shortened(mid)) <= width {
			low = mid
		} else {
			high = mid
		}
	}
	return shortened(low)
}

// x and y are where a value is.
func (c *chart) x(v float64) vg.Length { return c.data.X(c.plot.X.Norm(v)) }
func (c *chart) y(v float64) vg.Length { return c.data.Y(c.plot.Y.Norm(v)) }

// An anchor is which end of a text is at its point.
type anchor string

const (
	atStart  anchor = ""
	atMiddle anchor = " text-anchor=\"middle\""
	atEnd    anchor = " text-anchor=\"end\""
)

// say writes a text on a line through a point. The browser aligns it, which knows the font that there is: the
// library would by the one that it measures.
func (c *chart) say(i ink, a anchor, x, y vg.Length, t string) {
	halo := ""
	if i == inkBad {
		halo = " class=\"halo\"" // it lies on charts
	}
	fmt.Fprintf(&c.texts, "<text x=\"%.5g\" y=\"%.5g\"%s%s style=\"fill:var(--%s)\">%s</text>\n", x.Points(), (c.height - y + fontSize*0.36).Points(), a, halo, inkNames[i], html.EscapeString(t))
}

// line draws a straight one.
func (c *chart) line(i ink, width vg.Length, dashes []vg.Length, x0, y0, x1, y1 vg.Length) {
	c.all.StrokeLine2(draw.LineStyle{Color: i, Width: width, Dashes: dashes}, x0, y0, x1, y1)
}

// box fills a rectangle.
func (c *chart) box(clr color.Color, x0, y0, x1, y1 vg.Length) {
	c.all.FillPolygon(clr, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

// upright draws the vertical axis: lines across, with their numbers.
func (c *chart) upright(ticks []float64, label func(float64) string) {
	for _, v := range ticks {
		c.line(inkGrid, 0.75, nil, c.data.Min.X, c.y(v), c.data.Max.X, c.y(v))
		c.say(inkMuted, atEnd, c.data.Min.X-6, c.y(v), label(v))
	}
}

// along draws the horizontal axis: the time. Without labels it has only the lines.
func (c *chart) along(labels bool) {
	c.line(inkAxis, 1, nil, c.data.Min.X, c.data.Min.Y, c.data.Max.X, c.data.Min.Y)
	for _, v := range timeTicks(c.plot.X.Max, c.ticks) {
		c.line(inkGrid, 0.75, nil, c.x(v), c.data.Min.Y, c.x(v), c.data.Max.Y)
		if labels {
			t := tickTime(v, c.plot.X.Max)
			half := textWidth(t) / 2
			at := max(half, min(c.x(v), c.width-half))
			c.say(inkMuted, atMiddle, at, c.data.Min.Y-11, t)
		}
	}
}

// stroke draws lines, each through some points.
func (c *chart) stroke(clr color.Color, width vg.Length, lines []plotter.XYs) {
	for _, xys := range lines {
		if line, err := plotter.NewLine(xys); err == nil {
			line.LineStyle = draw.LineStyle{Color: clr, Width: width}
			c.add(line)
		}
	}
}

// fill fills what is between lines and the ground.
func (c *chart) fill(clr color.Color, lines []plotter.XYs) {
	for _, xys := range lines {
		if area, err := plotter.NewPolygon(xys); err == nil {
			area.LineStyle.Width, area.Color = 0, clr
			c.add(area)
		}
	}
}

// draw draws what was added.
func (c *chart) draw() { c.plot.Draw(c.data) }

// inner is the chart without the element around it.
func (c *chart) inner() string {
	var b bytes.Buffer
	c.svg.WriteTo(&b) // which never fails
	_, svg, _ := strings.Cut(b.String(), "<svg ")
	_, svg, _ = strings.Cut(svg, ">")
	return inksToNames.Replace(strings.TrimSuffix(strings.TrimSpace(svg), "</svg>")) + c.texts.String()
}

// element is the chart for a page.
func (c *chart) element() string {
	return fmt.Sprintf("<svg class=\"%s\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">%s</svg>",
		c.class, c.width.Points(), c.height.Points(), html.EscapeString(c.about), c.inner())
}
