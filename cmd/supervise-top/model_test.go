package main

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

func pointer[T any](v T) *T { return &v }

func TestSpark(t *testing.T) {
	s := series{[]float64{0, 0.5, 1, 4}}
	for _, tt := range []struct {
		columns int
		top     float64
		want    string
	}{{6, 1, "  ▁▁▂█"}, {2, 8, "▁▄"}, {0, 1, ""}} {
		if got := s.spark(tt.columns, tt.top); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
	for i := range 2 * longest {
		s.add(float64(i))
	}
	if len(s.values) != longest || s.last() != 2*longest-1 {
		t.Errorf("%d values, the last %v", len(s.values), s.last())
	}
}

func TestBar(t *testing.T) {
	for part, want := range map[float64]string{-1: "····", 0: "····", 0.5: "██··", 0.53: "██▏·", 1: "████", 7: "████"} {
		if got := bar(4, part); got != want {
			t.Errorf("%v: %q, want %q", part, got, want)
		}
	}
}

// known is a model with a tree of jobs, after two readings.
func known() *model {
	m := newModel(nil, time.Second)
	m.width, m.height = 80, 24
	at := time.Unix(1000, 0)
	for i := range 2 {
		var list []reading
		for _, j := range []struct {
			id, outer string
			cpu       float64
		}{{"a", "", 0.5}, {"aa", "a", 0.1}, {"ab", "a", 0.4}, {"b", "", 0.9}, {"c", "gone", 0}} {
			one := reading{ListedJob: protocol.ListedJob{ID: j.id, Name: "x" + j.id, CPUS: pointer(float64(i) * j.cpu), State: protocol.ListedRunning}}
			if j.outer != "" {
				one.Outer, one.depth = pointer(j.outer), 1
			}
			one.stats = &cgroup.Stats{
				IO:             &cgroup.IOStat{Total: cgroup.IOCounters{ReadBytes: uint64(1000 * i)}},
				MemoryPressure: &cgroup.Pressure{Some: pointer(uint64(250_000 * i))},
			}
			list = append(list, one)
		}
		m.Update(readings{at: at.Add(time.Duration(i) * time.Second), jobs: list})
	}
	return m
}

func ids(rows []*row) string {
	var list []string
	for _, r := range rows {
		list = append(list, r.ID)
	}
	return strings.Join(list, " ")
}

// TestOrder: jobs are sorted among those beside them, and stay below the one that they are in.
func TestOrder(t *testing.T) {
	m := known()
	for _, want := range []string{"a aa ab b c", "b a ab aa c"} {
		if got := ids(m.shown()); got != want {
			t.Errorf("by %s: %s, want %s", columns[m.sort].name, got, want)
		}
		press(m, "s")
	}
	press(m, "/", "b", "enter")
	if got := ids(m.shown()); got != "ab b" && got != "b ab" {
		t.Errorf("with b: %s", got)
	}
	press(m, "esc")
	if m.filter != "" || len(m.shown()) != 5 {
		t.Errorf("filter %q", m.filter)
	}
}

func TestRates(t *testing.T) {
	r := known().rows["a"]
	if r.cpu.last() != 0.5 || r.io.last() != 1000 || r.waits[1] != 0.25 || waits(r) != "mem 25%" {
		t.Errorf("%+v", r)
	}
}

// press types keys.
func press(m *model, keys ...string) (last tea.Cmd) {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "up": tea.KeyUp, "down": tea.KeyDown, "end": tea.KeyEnd}
	for _, key := range keys {
		k := tea.KeyPressMsg{Code: special[key]}
		if k.Code == 0 {
			k = tea.KeyPressMsg{Code: []rune(key)[0], Text: key}
		}
		_, last = m.Update(k)
	}
	return last
}

// TestQuestions: nothing is done without a yes.
func TestQuestions(t *testing.T) {
	for _, action := range []string{"k", "f", "t"} {
		for answer, done := range map[string]bool{"n": false, "esc": false, "x": false, "enter": false, "y": true} {
			m := known()
			press(m, action)
			if m.prompt == nil {
				t.Fatalf("%s asks nothing", action)
			}
			if cmd := press(m, answer); (cmd != nil) != done || m.prompt != nil {
				t.Errorf("%s, %s: it is done: %v", action, answer, cmd != nil)
			}
		}
	}
	m := known()
	press(m, "l", "x", "y", "backspace")
	if m.prompt == nil || m.prompt.answer != "x" {
		t.Errorf("%+v", m.prompt)
	}
	if press(m, "enter") == nil {
		t.Error("no limit is set")
	}
	if press(known(), "l", "enter") != nil {
		t.Error("no answer sets a limit")
	}
}

// TestGone: a job that is gone takes its details along, and another one is selected.
func TestGone(t *testing.T) {
	m := known()
	press(m, "end", "enter")
	if !m.details || m.selected != "c" {
		t.Fatalf("%s", m.selected)
	}
	m.Update(readings{at: time.Unix(2000, 0), jobs: []reading{{ListedJob: protocol.ListedJob{ID: "a"}}}})
	if m.details || m.selected != "a" {
		t.Errorf("selected %q, details %v", m.selected, m.details)
	}
	m.Update(readings{at: time.Unix(2001, 0)})
	if m.selected != "" || !strings.Contains(m.screen(), "no jobs") {
		t.Errorf("%s", m.screen())
	}
	press(m, "k", "up", "down", "enter")
}

// TestFits: no line is wider than the screen, and none has another's control characters.
func TestFits(t *testing.T) {
	for width := 1; width < 160; width += 3 {
		for _, details := range []bool{false, true} {
			m := known()
			m.width, m.height, m.details = width, 1+width%30, details
			m.rows["a"].Name, m.rows["a"].ID = "\x1b[31m\u202e", "a\x1b[31m"
			m.rows["a"].procs = []protocol.Process{{Comm: "\x1b[31m\x07"}}
			text := m.screen()
			if lines := strings.Split(text, "\n"); len(lines) > m.height {
				t.Errorf("%d lines of %d", len(lines), m.height)
			}
			for line := range strings.SplitSeq(text, "\n") {
				if ansi.StringWidth(line) > width {
					t.Errorf("%d of %d columns: %q", ansi.StringWidth(line), width, line)
				}
			}
			if strings.Contains(text, "\x1b[31m") || strings.ContainsAny(text, "\x07\u202e") {
				t.Errorf("raw: %q", text)
			}
		}
	}
	if m := newModel(nil, 0); m.screen() == "" {
		t.Error("nothing before the first reading")
	}
}
