package main

import (
	"fmt"
	"html"
	"strings"

	"gonum.org/v1/plot/vg"
)

// A drawing is an SVG document of charts, one below the other.
type drawing struct {
	b      strings.Builder
	height vg.Length
}

// picture is the main chart: the charts of one job, or the timeline of many. It follows light and
// dark as the page does.
func picture(jobs, before []*job) string {
	var d drawing
	switch {
	case before != nil:
		b, a := batchOf(before), batchOf(jobs)
		e := extentOf(b, a)
		d.title("Before: "+duration(b.end), timelineKeys, shownNote(before, mostRows/2))
		d.add(timeline(wide, b, e, mostRows/2))
		d.title("After: "+duration(a.end), timelineKeys, shownNote(jobs, mostRows/2))
		d.add(timeline(wide, a, e, mostRows/2))
	case len(jobs) == 1:
		d.job(jobs[0])
	default:
		r := batchOf(jobs)
		e := extentOf(r)
		if len(jobs) > 3 {
			d.title("Jobs at a time", timelineKeys, "")
			d.add(loadChart(wide, r, e))
		}
		d.title("Each job", timelineKeys, shownNote(jobs, pictureRows))
		d.add(timeline(wide, r, e, pictureRows))
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" role=\"img\">\n<style>%s%s</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"var(--page)\"/>\n%s</svg>\n",
		wide.width.Points(), d.height.Points(), wide.width.Points(), d.height.Points(), themeCSS, pictureCSS, d.b.String())
}

// pictureRows is how many jobs have a row in a picture, which is to fit on a screen.
const pictureRows = 40

const pictureCSS = "svg .t { font-size: 13px; font-weight: bold; fill: var(--text); }\n.m { fill: var(--muted); }\n"

// shownNote says what has no row.
func shownNote(jobs []*job, most int) string {
	if len(jobs) <= most {
		return ""
	}
	return fmt.Sprintf("the %d longest of %s", most, grouped(len(jobs)))
}

// job draws the charts of one job, or what is known of it without samples: one row.
func (d *drawing) job(j *job) {
	f := frameOf(j)
	list := panels(j, f)
	outcome, _ := j.outcome()
	d.title(fit(fmt.Sprintf("%s: %s in %s", j.label, outcome, duration(j.WallS)), wide.width/1.4), nil, "")
	if len(list) == 0 {
		r := batchOf([]*job{j})
		d.title("", timelineKeys, "")
		d.add(timeline(wide, r, extentOf(r), 1))
		return
	}
	if len(j.Phases) > 1 {
		d.add(phaseStrip(wide, j, f))
	}
	for i, p := range list {
		d.title(p.title, p.keys, p.note)
		d.add(p.draw(wide, i == len(list)-1))
	}
}

// add puts a chart below what there is.
func (d *drawing) add(c *chart) {
	fmt.Fprintf(&d.b, "<g transform=\"translate(0 %g)\">%s</g>\n", d.height.Points(), c.inner())
	d.height += c.height
}

// title puts a line of text below what there is.
func (d *drawing) title(t string, keys []key, note string) {
	y := d.height + 18
	x := vg.Length(4)
	if t != "" {
		fmt.Fprintf(&d.b, "<text class=\"t\" x=\"%g\" y=\"%g\">%s</text>\n", x.Points(), y.Points(), html.EscapeString(t))
		x += textWidth(t)*1.25 + 16
	}
	for _, k := range keys {
		fmt.Fprintf(&d.b, "<rect x=\"%g\" y=\"%g\" width=\"9\" height=\"9\" rx=\"2\" fill=\"var(--%s)\"/><text class=\"m\" x=\"%g\" y=\"%g\">%s</text>\n",
			x.Points(), (y - 8.5).Points(), k.Ink, (x + 14).Points(), y.Points(), html.EscapeString(k.Text))
		x += textWidth(k.Text) + 28
	}
	if note != "" {
		fmt.Fprintf(&d.b, "<text class=\"m\" x=\"%g\" y=\"%g\">%s</text>\n", x.Points(), y.Points(), html.EscapeString(note))
	}
	d.height += 26
}
