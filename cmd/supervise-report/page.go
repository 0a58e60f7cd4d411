package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // of the parts of the page
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

//go:embed theme.css
var themeCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// A page is what the template is given. All that it has of the input is printable text, which the
// template escapes; only charts are HTML, and they escape what they have.
type page struct {
	Title, Subtitle string
	Style           template.CSS
	Script          template.JS
	ScriptHash      string // the only script that the browser runs
	Notes           []string
	Facts           []fact
	Comparison      *comparisonView
	Timelines       []timelineView
	Distributions   []figure
	Table           *tableView
	Details         []jobView
	DetailsNote     string
	Version         string
}

// A fact is a number with its name.
type fact struct{ Name, Value, Note string }

// A figure is a chart with its caption, in both layouts.
type figure struct {
	Title        string
	Keys         []key
	Note         string
	Wide, Narrow template.HTML
}

// figureOf draws a chart in both layouts; big is the one that is not for narrow windows.
func figureOf(big layout, title, note string, keys []key, draw func(layout) *chart) figure {
	return figure{
		Title: title, Note: note, Keys: keys,
		Wide: template.HTML(draw(big).element()), Narrow: template.HTML(draw(narrow).element()),
	}
}

// newPage is the page of some jobs, and of those before with which they are compared.
func newPage(jobs, before []*job, notes []string) *page {
	digest := sha256.Sum256([]byte(pageJS))
	p := &page{
		Style: template.CSS(themeCSS + pageCSS), Script: template.JS(pageJS), Version: cli.Version(),
		ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(digest[:]),
	}
	for _, n := range notes {
		p.Notes = append(p.Notes, printable(n)+".")
	}
	p.Subtitle = when(jobs)
	switch {
	case before != nil:
		p.compare(jobs, before)
	case len(jobs) == 1:
		p.Title = short(jobs[0].label, 120)
		p.Details = []jobView{viewOf(wide, jobs[0], frameOf(jobs[0]), jobs)}
	default:
		p.many(jobs)
	}
	return p
}

// many fills the page of several jobs.
func (p *page) many(jobs []*job) {
	r := batchOf(jobs)
	p.Title = count(len(jobs), "job", "jobs")
	p.Facts = factsOf(r)
	p.Timelines = []timelineView{timelineOf(wide, "Timeline", r, extentOf(r), mostRows)}
	p.Distributions = distributions(jobs)
	p.Table = tableOf(r)
	p.details(jobs)
}

// mostDetails is how many jobs of many have a section of their own.
const mostDetails = 24

// details adds sections for some jobs: first those of which more is known than the table says.
func (p *page) details(jobs []*job) {
	chosen := choose(jobs, mostDetails)
	for _, j := range chosen {
		p.Details = append(p.Details, viewOf(wide, j, frameOf(j), jobs))
	}
	if len(chosen) < len(jobs) {
		p.DetailsNote = fmt.Sprintf("These are %d of %s jobs: those with samples or phases first, then those that went wrong, then the longest. For another one, make a report of its record alone.",
			len(chosen), grouped(len(jobs)))
	}
	for i, j := range chosen {
		p.Details[i].Anchor = sectionName(jobs, j)
		p.Details[i].Collapsed = true
	}
	if p.Table != nil {
		p.Table.link(jobs, chosen)
	}
}

// html is the page.
func (p *page) html() (string, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return "", fmt.Errorf("writing the page: %w", err)
	}
	return b.String(), nil
}

// short cuts a text to a number of letters.
func short(t string, most int) string {
	if runes := []rune(t); len(runes) > most {
		return strings.TrimRight(string(runes[:most-1]), " ") + "…"
	}
	return t
}

// when says when jobs ran.
func when(jobs []*job) string {
	first, last := jobs[0].Started.UTC(), jobs[0].end().UTC()
	for _, j := range jobs {
		if e := j.end().UTC(); e.After(last) {
			last = e
		}
	}
	to := last.Format("15:04:05")
	if first.Format("2006-01-02") != last.Format("2006-01-02") {
		to = last.Format("2006-01-02 15:04:05")
	}
	return fmt.Sprintf("%s to %s UTC", first.Format("2006-01-02 15:04:05"), to)
}
