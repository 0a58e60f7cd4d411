package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
)

// A model is what is shown, and how.
type model struct {
	watch *jobs.Watch
	every time.Duration

	width, height int
	rows          map[string]*row
	order         []string // ids as they were read, outer jobs before those in them
	read          bool     // there was a reading
	at            time.Time
	err           error

	sort     int    // index of columns
	filter   string // "": all are shown
	selected string // id
	top      int    // index of the first row on the screen
	details  bool

	prompt  *prompt // nil: the keys are commands
	message string  // what became of the last action
}

// A prompt is a question at the bottom of the screen, and the answer as far as it is typed.
type prompt struct {
	text   string
	answer string
	keys   string                      // one of these answers at once; "": a line does
	done   func(answer string) tea.Cmd // nil answers are not asked for
	typing func(answer string)         // is told of each change; nil: nothing is
}

func newModel(w *jobs.Watch, every time.Duration) *model {
	return &model{watch: w, every: every, rows: map[string]*row{}}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return read(m.watch, look{}) }

type tick struct{}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		return m, read(m.watch, m.look())
	case readings:
		m.take(msg)
		wait := m.every
		if !m.read { // of the first reading there are no rates: the second follows soon
			wait = min(wait, 200*time.Millisecond)
		}
		m.read = true
		return m, tea.Tick(wait, func(time.Time) tea.Msg { return tick{} })
	case outcome:
		m.message = string(msg)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// take takes a reading of all jobs.
func (m *model) take(r readings) {
	m.at, m.err = r.at, r.err
	m.order = m.order[:0]
	gone := m.rows
	m.rows = map[string]*row{}
	for _, one := range r.jobs {
		known := gone[one.ID]
		if known == nil {
			known = &row{}
		}
		known.update(one, r.at)
		m.rows[one.ID] = known
		m.order = append(m.order, one.ID)
	}
	if m.rows[m.selected] == nil {
		m.details = false
		m.selected = ""
		if shown := m.shown(); len(shown) > 0 {
			m.selected = shown[min(m.top, len(shown)-1)].ID
		}
	}
}

// shown are the rows that the filter lets pass, sorted; jobs stay below the one that they are in.
func (m *model) shown() (list []*row) {
	inside := map[string][]*row{}
	for _, id := range m.order {
		r := m.rows[id]
		outer := ""
		if r.Outer != nil && m.rows[*r.Outer] != nil {
			outer = *r.Outer
		}
		inside[outer] = append(inside[outer], r)
	}
	less := columns[m.sort].less
	var add func(outer string)
	add = func(outer string) {
		rows := inside[outer]
		if less != nil {
			slices.SortStableFunc(rows, less)
		}
		for _, r := range rows {
			if strings.Contains(r.ID, m.filter) || strings.Contains(r.Name, m.filter) {
				list = append(list, r)
			}
			add(r.ID)
		}
	}
	add("")
	return list
}

// look is what is on the screen.
func (m *model) look() look {
	l := look{rows: map[string]bool{}}
	if m.details {
		l.details = m.selected
	}
	shown := m.shown()
	for _, r := range shown[min(m.top, len(shown)):min(m.top+m.lines(), len(shown))] {
		l.rows[r.ID] = true
	}
	return l
}

// lines is how many rows fit.
func (m *model) lines() int { return max(m.height-3, 1) }

// move selects another row.
func (m *model) move(by int) {
	shown := m.shown()
	if len(shown) == 0 {
		return
	}
	at := slices.IndexFunc(shown, func(r *row) bool { return r.ID == m.selected })
	at = min(max(max(at, 0)+by, 0), len(shown)-1)
	m.selected = shown[at].ID
	m.follow(at)
}

// follow scrolls so that a row is on the screen.
func (m *model) follow(at int) { m.top = min(max(m.top, at-m.lines()+1), at) }

// key does what a key stands for.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" {
		return tea.Quit
	}
	if m.prompt != nil {
		return m.answer(k)
	}
	m.message = ""
	switch k.String() {
	case "q":
		return tea.Quit
	case "esc":
		m.details, m.filter = false, ""
	case "enter":
		m.details = m.selected != "" && !m.details
		return nil
	case "up":
		m.move(-1)
	case "down":
		m.move(1)
	case "pgup":
		m.move(-m.lines())
	case "pgdown":
		m.move(m.lines())
	case "home":
		m.move(-len(m.order))
	case "end":
		m.move(len(m.order))
	case "s":
		m.sort = (m.sort + 1) % len(columns)
	case "S":
		m.sort = (m.sort + len(columns) - 1) % len(columns)
	case "/":
		m.prompt = &prompt{text: "show jobs with: ", answer: m.filter, typing: func(text string) { m.filter = text; m.move(0) }}
	default:
		m.prompt = m.question(k.String())
	}
	return nil
}

// answer takes a key of an answer.
func (m *model) answer(k tea.KeyPressMsg) tea.Cmd {
	p := m.prompt
	switch {
	case k.String() == "esc":
		m.prompt = nil
		if p.typing != nil {
			p.typing("")
		}
		return nil
	case p.keys != "":
		m.prompt = nil
		if strings.Contains(p.keys, k.String()) {
			return p.done(k.String())
		}
		return nil
	case k.String() == "enter":
		m.prompt = nil
		if p.done != nil {
			return p.done(p.answer)
		}
		return nil
	case k.String() == "backspace" && p.answer != "":
		letters := []rune(p.answer)
		p.answer = string(letters[:len(letters)-1])
	default:
		p.answer += cli.Printable(k.Text)
	}
	if p.typing != nil {
		p.typing(p.answer)
	}
	return nil
}

// A column is one that can be sorted by.
type column struct {
	name string
	less func(a, b *row) int // nil: as they were started
}

// columns are in the order of s. The largest come first.
var columns = []column{
	{"start", nil},
	{"cpu", func(a, b *row) int { return cmp.Compare(b.cpu.last(), a.cpu.last()) }},
	{"memory", func(a, b *row) int { return cmp.Compare(b.mem.last(), a.mem.last()) }},
	{"io", func(a, b *row) int { return cmp.Compare(b.io.last(), a.io.last()) }},
	{"processes", func(a, b *row) int { return cmp.Compare(number(b.Processes), number(a.Processes)) }},
	{"waiting", func(a, b *row) int { return cmp.Compare(slices.Max(b.waits[:]), slices.Max(a.waits[:])) }},
	{"name", func(a, b *row) int { return cmp.Compare(a.Name, b.Name) }},
}

func number(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// An outcome is what became of an action.
type outcome string

// question is what is asked before something is done to the selected job; nil: the key means nothing.
func (m *model) question(key string) *prompt {
	r := m.rows[m.selected]
	if r == nil {
		return nil
	}
	id := r.ID
	act := func(done string, f func(j *jobs.Job) error) tea.Cmd {
		return func() tea.Msg {
			j, err := jobs.Open(id)
			if err == nil {
				err = f(j)
				j.Close()
			}
			if err != nil {
				return outcome(cli.Printable(cli.OneLine(err)))
			}
			return outcome(fmt.Sprintf("%s: %s", id, done))
		}
	}
	yes := func(what, done string, f func(j *jobs.Job) error) *prompt {
		return &prompt{text: what + " " + id + "? y, n ", keys: "y", done: func(string) tea.Cmd { return act(done, f) }}
	}
	switch key {
	case "k":
		return &prompt{text: "kill " + id + "? y: at once, g: SIGTERM and 10 s before, n ", keys: "yg", done: func(answer string) tea.Cmd {
			grace := time.Duration(0)
			if answer == "g" {
				grace = 10 * time.Second
			}
			return act("killed", func(j *jobs.Job) error { return j.Kill(grace) })
		}}
	case "f":
		return yes("freeze", "frozen", (*jobs.Job).Freeze)
	case "t":
		return yes("thaw", "thawed", (*jobs.Job).Thaw)
	case "l":
		return &prompt{text: "limit " + id + ", such as memory-max 2G: ", done: func(answer string) tea.Cmd {
			name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(answer, "-")), " ")
			if name == "" {
				return nil
			}
			return act("limited", func(j *jobs.Job) error { return j.LimitBy(name, strings.TrimSpace(value)) })
		}}
	}
	return nil
}
