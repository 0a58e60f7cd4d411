package main

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// An extent is the range of a timeline. Two side by side have the same.
type extent struct {
	end    float64 // seconds
	atOnce int     // jobs
}

// extentOf is the range that some runs need.
func extentOf(runs ...*batch) extent {
	e := extent{end: 1e-6}
	for _, r := range runs {
		e.end, e.atOnce = max(e.end, r.end), max(e.atOnce, r.most())
	}
	return e
}

// mostRows is how many jobs have a row of their own.
const mostRows = 60

// shown are the jobs that have a row: all, or the longest, in the order of their start.
func shown(jobs []*job, most int) []*job {
	if len(jobs) <= most {
		return jobs
	}
	list := slices.Clone(jobs)
	slices.SortStableFunc(list, func(a, b *job) int { return cmp.Compare(b.WallS, a.WallS) })
	list = list[:most]
	slices.SortStableFunc(list, byStart)
	return list
}

// Heights of the timeline.
const (
	rowHeight = 19
	barHeight = 12
)

// timeline draws a row for each job: when it ran, and what part of that something of it waited.
func timeline(l layout, r *batch, e extent, most int) *chart {
	rows := shown(r.jobs, most)
	c := newChart(l, vg.Length(len(rows))*rowHeight+26, margins{left: l.label, right: 14, bottom: 22, top: 4},
		[2]float64{0, e.end}, [2]float64{0, float64(len(rows))})
	c.along(true)
	for i, j := range rows {
		c.row(r, j, float64(len(rows)-i)-0.5)
	}
	c.draw()
	for i, j := range rows {
		c.marks(r, j, float64(len(rows)-i)-0.5)
	}
	c.about = "When each job ran, and what it waited for"
	return c
}

// row draws the bar of a job in the middle of a height.
func (c *chart) row(r *batch, j *job, middle float64) {
	indent := vg.Length(min(j.depth, 6)) * 10
	name := fit(j.label, c.label-14-indent)
	c.say(inkText, atStart, 2+indent, c.y(middle), name)
	from, to := r.since(j), r.since(j)+j.WallS
	y0, y1 := c.y(middle)-barHeight/2, c.y(middle)+barHeight/2
	x0, x1 := c.x(from), max(c.x(to), c.x(from)+1.5)
	c.box(inkBar, x0, y0, x1, y1)
	if x1-x0 < 3 {
		return // there is no room for parts
	}
	base := make([]float64, 0, 64)
	list := c.waits(j)
	for range list {
		base = append(base, 0)
	}
	half := float64(barHeight) / rowHeight / 2
	for k, clr := range waitInks {
		var areas []plotter.XYs
		for i, s := range list {
			w := min(s.wait[k], 1-base[i])
			if !(w > 0.004) {
				continue
			}
			low, high := middle-half+2*half*base[i], middle-half+2*half*(base[i]+w)
			a, b := from+s.from, min(from+s.to, to)
			areas = append(areas, plotter.XYs{{X: a, Y: low}, {X: b, Y: low}, {X: b, Y: high}, {X: a, Y: high}})
			base[i] += w
		}
		c.fillMany(clr, areas)
	}
}

// fillMany fills several areas by one element.
func (c *chart) fillMany(i ink, areas []plotter.XYs) {
	if len(areas) == 0 {
		return
	}
	var xyers []plotter.XYer
	for _, a := range areas {
		xyers = append(xyers, a)
	}
	if p, err := plotter.NewPolygon(xyers...); err == nil {
		p.LineStyle.Width, p.Color = 0, i
		c.add(p)
	}
}

// waits are the parts of a job's time in which something waited: by its samples or phases, as finely as it can be seen, or of
// all its time.
func (c *chart) waits(j *job) []span {
	list := j.spans()
	if len(list) == 0 {
		return []span{{to: j.WallS, wait: waitShares(j)}}
	}
	fine := *c
	fine.points = max(1, int((c.x(j.WallS)-c.x(0))/6))
	return fine.fewer(list)
}

// marks draws what lies above a bar: its phases, a bad end, and how long it took.
func (c *chart) marks(r *batch, j *job, middle float64) {
	from := r.since(j)
	y0, y1 := c.y(middle)-barHeight/2, c.y(middle)+barHeight/2
	for _, at := range j.phaseStarts() {
		if at < j.WallS {
			c.line(inkEdge, 1.2, nil, c.x(from+at), y0, c.x(from+at), y1)
		}
	}
	x := max(c.x(from+j.WallS), c.x(from)+1.5)
	outcome, verdict := j.outcome()
	clr, t := inkMuted, duration(j.WallS)
	if verdict == bad {
		c.box(inkBad, x, y0-1.5, x+3, y1+1.5)
		clr, t, x = inkBad, outcome+", "+t, x+3
	}
	if j.throttled() {
		t += ", throttled"
	}
	if w := textWidth(t); x+6+w < c.width {
		c.say(clr, atStart, x+5, c.y(middle), t)
	} else if room := c.x(from) - c.data.Min.X; room > w+6 {
		c.say(clr, atEnd, c.x(from)-5, c.y(middle), t)
	}
}

// A load is how many jobs there were at a time, in equal parts of it: those that have no jobs in them.
type load struct {
	running []float64
	wait    [3][]float64 // of which something waited
}

// loadOf counts jobs in n parts of the time.
func loadOf(r *batch, end float64, n int) *load {
	l := &load{running: make([]float64, n)}
	for k := range l.wait {
		l.wait[k] = make([]float64, n)
	}
	for _, j := range r.jobs {
		if j.holds {
			continue // those in it are counted
		}
		from := r.since(j)
		spread(l.running, end, from, from+j.WallS, 1)
		list := j.spans()
		if len(list) == 0 {
			list = []span{{to: j.WallS, wait: waitShares(j)}}
		}
		for _, s := range list {
			total := 0.0
			for k, w := range s.wait {
				if w = min(w, 1-total); w > 0 { // a job that waits for two things at once is one job
					spread(l.wait[k], end, from+s.from, from+min(s.to, j.WallS), w)
					total += w
				}
			}
		}
	}
	return l
}

// spread adds a value to parts of the time, each by how much of it lies between from and to.
func spread(parts []float64, end, from, to, value float64) {
	width := end / float64(len(parts))
	for i := max(0, int(from/width)); i < len(parts); i++ {
		a, b := float64(i)*width, float64(i+1)*width
		if a >= to {
			break
		}
		parts[i] += value * max(0, min(b, to)-max(a, from)) / width
	}
}

// loadChart draws how many jobs ran at each time, and how many of them waited for what.
func loadChart(l layout, r *batch, e extent) *chart {
	n, end := l.points, e.end
	parts := loadOf(r, end, n)
	top, ticks := scale(float64(e.atOnce))
	c := newChart(l, 150, margins{left: l.label, right: 14, bottom: 22, top: 6}, [2]float64{0, end}, [2]float64{0, top})
	c.upright(ticks, decimal)
	c.along(true)
	area := func(i ink, values []float64) {
		var xys plotter.XYs
		for k := 0; k < n; {
			same := k + 1 // how far the value goes on
			for same < n && values[same] == values[k] {
				same++
			}
			xys = append(xys, plotter.XY{X: end * float64(k) / float64(n), Y: values[k]}, plotter.XY{X: end * float64(same) / float64(n), Y: values[k]})
			k = same
		}
		c.fill(i, []plotter.XYs{closed(xys)})
	}
	area(inkBar, parts.running)
	stack := make([]float64, n)
	var layers [3][]float64
	for k := range layers {
		for i, w := range parts.wait[k] {
			stack[i] += w
		}
		layers[k] = slices.Clone(stack)
	}
	for k, clr := range slices.Backward(waitInks[:]) {
		if slices.Max(parts.wait[k]) > 0 {
			area(clr, layers[k])
		}
	}
	c.draw()
	c.about = "How many jobs ran at each time, and how many waited"
	return c
}

// most is how many jobs ran at once, at most.
func (r *batch) most() int {
	type edge struct {
		at    float64
		delta int
	}
	var edges []edge
	for _, j := range r.jobs {
		if j.holds {
			continue
		}
		edges = append(edges, edge{r.since(j), 1}, edge{r.since(j) + j.WallS, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.delta, b.delta)) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.delta
		most = max(most, now)
	}
	return max(1, most)
}
