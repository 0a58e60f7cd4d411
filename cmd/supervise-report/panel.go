package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A panel is one chart of a job over its time.
type panel struct {
	title string
	keys  []key  // what the colours mean
	note  string // what must be said beside
	draw  func(l layout, labels bool) *chart
}

// A key is a colour and its meaning.
type key struct {
	Ink, Text string
}

// A frame is the range of the charts of a job. Two jobs side by side have the same.
type frame struct{ end, cpu, memory, io, pids float64 }

// frameOf is the range that some jobs need.
func frameOf(jobs ...*job) (f frame) {
	for _, j := range jobs {
		f.end = max(f.end, j.WallS, 1e-6)
		for _, s := range j.spans() {
			f.cpu, f.io = atLeast(f.cpu, s.cpu), atLeast(atLeast(f.io, s.read), s.write)
			f.end = max(f.end, s.to)
		}
		for _, p := range j.points {
			f.memory, f.pids = atLeast(atLeast(f.memory, p.current), p.anon+p.file), atLeast(f.pids, p.pids)
		}
		if limit := j.limit("memory.max"); limit < 3*f.memory { // else the limit would press the rest to the ground
			f.memory = max(f.memory, limit)
		}
		if limit := j.processors(); limit < 3*f.cpu {
			f.cpu = max(f.cpu, limit)
		}
	}
	return f
}

// atLeast is the greater; what is not known is not.
func atLeast(most, f float64) float64 {
	if f > most {
		return f
	}
	return most
}

// limit is the value of a limit in bytes or processes; NaN: there is none.
func (j *job) limit(file string) float64 {
	for _, l := range j.Limits {
		if l.File == file {
			if f, err := strconv.ParseFloat(strings.TrimSpace(l.Value), 64); err == nil && f > 0 && f < 1e18 {
				return f
			}
		}
	}
	return unknownNumber
}

// processors is the quota of processor time: cpu.max has microseconds, and of how many.
func (j *job) processors() float64 {
	for _, l := range j.Limits {
		quota, period, _ := strings.Cut(strings.TrimSpace(l.Value), " ")
		q, err := strconv.ParseFloat(quota, 64)
		p, errP := strconv.ParseFloat(period, 64)
		if errP != nil {
			p = 100_000
		}
		if l.File == "cpu.max" && err == nil && q > 0 && p > 0 && q/p < 1e6 {
			return q / p
		}
	}
	return unknownNumber
}

// panels are the charts of a job. Of what is not known there is none.
func panels(j *job, f frame) (list []panel) {
	anyPoint := func(of func(point) float64) bool {
		for _, p := range j.points {
			if known(of(p)) {
				return true
			}
		}
		return false
	}
	spans := j.spans()
	anySpan := func(of func(span) float64) bool {
		for _, s := range spans {
			if known(of(s)) {
				return true
			}
		}
		return false
	}
	if anySpan(func(s span) float64 { return s.cpu }) {
		list = append(list, cpuPanel(j, f, spans))
	}
	if anyPoint(func(p point) float64 { return p.current }) {
		list = append(list, memoryPanel(j, f))
	}
	if anySpan(func(s span) float64 { return s.read }) {
		list = append(list, ioPanel(j, f, spans))
	}
	if anySpan(func(s span) float64 { return s.wait[0] + s.wait[1] + s.wait[2] }) {
		list = append(list, waitPanel(j, f, spans))
	}
	if anyPoint(func(p point) float64 { return p.pids }) {
		list = append(list, pidsPanel(j, f))
	}
	return list
}

// panelHeight is without the labels of the time.
const panelHeight = 92

// begin begins the chart of a panel: axes, phases, and the end of the job.
func (j *job) begin(l layout, f frame, labels bool, top float64, ticks []float64, label func(float64) string) *chart {
	m := margins{left: axisRoom, right: 10, bottom: 8, top: 8}
	if labels {
		m.bottom = 20
	}
	c := newChart(l, panelHeight+m.bottom, m, [2]float64{0, f.end}, [2]float64{0, top})
	c.upright(ticks, label)
	c.along(labels)
	for _, at := range j.phaseStarts() {
		if at <= f.end {
			c.line(inkMuted, 0.75, []vg.Length{2, 3}, c.x(at), c.data.Min.Y, c.x(at), c.data.Max.Y)
		}
	}
	return c
}

// finish draws what lies above the values, and says what the chart shows.
func (j *job) finish(c *chart, about string) *chart {
	c.draw()
	if j.Cause == protocol.CauseOOM {
		x := c.x(min(j.WallS, c.xs[1]))
		c.line(inkBad, 1.5, nil, x, c.data.Min.Y, x, c.data.Max.Y)
	}
	c.about = about + " of " + j.label
	return c
}

// phaseStarts are when marks came, in seconds since the start.
func (j *job) phaseStarts() (list []float64) {
	for i, p := range j.phases() {
		if at := p.Started.Sub(j.Started.Time).Seconds(); i > 0 && at >= 0 {
			list = append(list, at)
		}
	}
	return list
}

// across draws a limit, where it is in sight.
func (c *chart) across(limit float64, label string) {
	if !(limit <= c.ys[1]) {
		return
	}
	y := c.y(limit)
	c.line(inkBad, 1, []vg.Length{5, 3}, c.data.Min.X, y, c.data.Max.X, y)
	above := vg.Length(8)
	if y+2*above > c.height {
		above = -above
	}
	c.say(inkBad, atStart, c.data.Min.X+5, y+above, label)
}

func cpuPanel(j *job, f frame, spans []span) panel {
	p := panel{title: "CPU", keys: []key{{"cpu", "processors in use"}}}
	p.note = limitNote(j.processors(), f.cpu, decimal, "processors")
	throttled := j.throttled()
	if throttled {
		p.keys = append(p.keys, key{"warn", "throttled"})
	}
	p.draw = func(l layout, labels bool) *chart {
		top, ticks := scale(f.cpu)
		c := j.begin(l, f, labels, top, ticks, decimal)
		if throttled {
			for _, s := range spans {
				if s.throttled > 0.01 {
					c.box(inkWarn, c.x(s.from), c.data.Min.Y-4.5, c.x(min(s.to, f.end)), c.data.Min.Y-1)
				}
			}
		}
		c.steps(inkCPU, spans, func(s span) float64 { return s.cpu }, true)
		c = j.finish(c, "Processors in use over the time")
		c.across(j.processors(), "limit "+decimal(j.processors()))
		return c
	}
	return p
}

// limitNote tells of a limit that is out of sight.
func limitNote(limit, top float64, label func(float64) string, unit string) string {
	if limit > top {
		return strings.TrimSpace(fmt.Sprintf("the limit is %s %s", label(limit), unit))
	}
	return ""
}

func memoryPanel(j *job, f frame) panel {
	p := panel{title: "Memory", keys: []key{{"memory", "anonymous and shared"}, {"soft", "page cache"}, {"text", "total"}}}
	p.note = limitNote(j.limit("memory.max"), f.memory, size, "")
	p.draw = func(l layout, labels bool) *chart {
		top, ticks := sizeScale(f.memory)
		c := j.begin(l, f, labels, top, ticks, sizeTick)
		points := thin(j.points, l.points)
		c.fill(inkSoft, ground(points, func(p point) float64 { return p.anon + p.file }))
		c.fill(inkMemory, ground(points, func(p point) float64 { return p.anon }))
		c.stroke(inkText, 1, paths(points, func(p point) float64 { return p.current }))
		c = j.finish(c, "Memory over the time, page cache apart,")
		if j.Cause == protocol.CauseOOM {
			c.say(inkBad, atEnd, c.x(min(j.WallS, f.end))-4, c.data.Max.Y-8, "OOM")
		}
		if j.peak != nil {
			c.dot(inkText, j.peak.at, j.peak.current)
		}
		if j.needed != nil && j.needed.at != j.peak.at {
			c.dot(inkMemory, j.needed.at, j.needed.anon)
		}
		c.across(j.limit("memory.max"), "limit "+size(j.limit("memory.max")))
		return c
	}
	return p
}

// dot marks a value.
func (c *chart) dot(i ink, x, y float64) {
	at := vg.Point{X: c.x(min(x, c.xs[1])), Y: c.y(y)}
	c.all.DrawGlyphNoClip(draw.GlyphStyle{Color: inkEdge, Radius: 5, Shape: draw.CircleGlyph{}}, at)
	c.all.DrawGlyphNoClip(draw.GlyphStyle{Color: i, Radius: 3.2, Shape: draw.CircleGlyph{}}, at)
}

func ioPanel(j *job, f frame, spans []span) panel {
	p := panel{title: "I/O", keys: []key{{"io", "read"}, {"write", "written"}}, note: "bytes a second"}
	p.draw = func(l layout, labels bool) *chart {
		top, ticks := sizeScale(f.io)
		c := j.begin(l, f, labels, top, ticks, sizeTick)
		c.steps(inkIO, spans, func(s span) float64 { return s.read }, true)
		c.steps(inkWrite, spans, func(s span) float64 { return s.write }, false)
		return j.finish(c, "Bytes read and written a second over the time")
	}
	return p
}

func waitPanel(j *job, f frame, spans []span) panel {
	p := panel{title: "Waiting", keys: []key{{"cpu", "for CPU"}, {"memory", "for memory"}, {"io", "for I/O"}}, note: "part of the time in which some process waited"}
	p.draw = func(l layout, labels bool) *chart {
		c := j.begin(l, f, labels, 1, []float64{0, 0.25, 0.5, 0.75, 1}, percent)
		for i, clr := range waitInks {
			c.steps(clr, spans, func(s span) float64 { return s.wait[i] }, false)
		}
		return j.finish(c, "Part of the time in which some process waited for CPU, memory and I/O")
	}
	return p
}

func pidsPanel(j *job, f frame) panel {
	p := panel{title: "Processes", keys: []key{{"plain", "processes and threads"}}}
	p.note = limitNote(j.limit("pids.max"), f.pids, decimal, "")
	p.draw = func(l layout, labels bool) *chart {
		top, ticks := scale(max(4, f.pids))
		c := j.begin(l, f, labels, top, ticks, decimal)
		c.stroke(inkPlain, 1.4, paths(thin(j.points, l.points), func(p point) float64 { return p.pids }))
		c = j.finish(c, "Processes and threads over the time")
		c.across(j.limit("pids.max"), "limit "+decimal(j.limit("pids.max")))
		return c
	}
	return p
}

// steps draws rates, each for as long as it was: a line, or the area below it too. What is not known
// is a gap.
func (c *chart) steps(i ink, spans []span, of func(span) float64, area bool) {
	var lines []plotter.XYs
	last := math.Inf(-1)
	for _, s := range c.fewer(spans) {
		v := of(s)
		if !known(v) {
			continue
		}
		if s.from > last+1e-9 {
			lines = append(lines, nil)
		}
		last = s.to
		n := len(lines) - 1
		lines[n] = append(lines[n], plotter.XY{X: s.from, Y: v}, plotter.XY{X: min(s.to, c.xs[1]), Y: v})
	}
	if area {
		var below []plotter.XYs
		for _, l := range lines {
			below = append(below, closed(l))
		}
		c.fill(i.faint(), below)
	}
	c.stroke(i, 1.4, lines)
}

// fewer joins neighbours until there are no more than a line of the layout has points.
func (c *chart) fewer(list []span) []span {
	n := (len(list) + c.points - 1) / c.points
	if n <= 1 {
		return list
	}
	var joined []span
	for i := 0; i < len(list); i += n {
		group := list[i:min(i+n, len(list))]
		s := span{from: group[0].from, to: group[len(group)-1].to}
		for _, g := range group {
			part := (g.to - g.from) / (s.to - s.from)
			s.cpu, s.read, s.write, s.throttled = s.cpu+part*g.cpu, s.read+part*g.read, s.write+part*g.write, s.throttled+part*g.throttled
			for k := range s.wait {
				s.wait[k] += part * g.wait[k]
			}
		}
		joined = append(joined, s)
	}
	return joined
}

// paths are lines through points, with gaps where nothing is known.
func paths(points []point, of func(point) float64) (lines []plotter.XYs) {
	gap := true
	for _, p := range points {
		v := of(p)
		if gap = gap || !known(v); known(v) {
			if gap {
				lines, gap = append(lines, nil), false
			}
			lines[len(lines)-1] = append(lines[len(lines)-1], plotter.XY{X: p.at, Y: v})
		}
	}
	return lines
}

// ground are the areas between such lines and 0.
func ground(points []point, of func(point) float64) (areas []plotter.XYs) {
	for _, l := range paths(points, of) {
		areas = append(areas, closed(l))
	}
	return areas
}

// closed is a line and the way back along the ground.
func closed(line plotter.XYs) plotter.XYs {
	return append(line[:len(line):len(line)], plotter.XY{X: line[len(line)-1].X}, plotter.XY{X: line[0].X})
}
