package systemd

import (
	"context"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	short   = 300 * time.Millisecond // a time limit that runs out
	patient = time.Minute            // one that does not
)

// place asks for a place for the test's process, and sees to it that neither
// goroutines nor descriptors are left.
func place(t *testing.T, h *Host, limit time.Duration) (Delegation, error) {
	t.Helper()
	defer leakCheck(t)()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return h.Place(ctx, Request{PIDs: []int{4711}, Description: "a job"})
}

// leakCheck compares what is there now with what is there when it is called
// again; what is about to end is waited for.
func leakCheck(t *testing.T) func() {
	goroutines, fds := runtime.NumGoroutine(), openFDs(t)
	return func() {
		t.Helper()
		for end := time.Now().Add(patient); runtime.NumGoroutine() > goroutines || openFDs(t) > fds; runtime.Gosched() {
			if time.Now().After(end) {
				buf := make([]byte, 1<<16)
				t.Fatalf("left: %d goroutines, %d descriptors more\n%s", runtime.NumGoroutine()-goroutines, openFDs(t)-fds, buf[:runtime.Stack(buf, true)])
			}
		}
	}
}

func openFDs(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func TestScope(t *testing.T) {
	h := testHost(t)
	f := (&fake{result: "done"}).listen(t, h, h.own()+"/systemd/private")
	p, err := place(t, h, patient)
	must(t, err)
	want := Delegation{Cgroup: "/user.slice/user-7.slice/user@7.service/app.slice/" + p.Unit, Unit: p.Unit, Origin: NewScope, Manager: "private"}
	if p != want || !strings.HasPrefix(p.Unit, "supervise-") || len(p.Unit) != len("supervise-01234567.scope") {
		t.Errorf("got %+v", p)
	}
	for name, want := range map[string]any{"PIDs": []uint32{4711}, "Delegate": true, "Description": "a job",
		"CollectMode": "inactive-or-failed", "SendSIGHUP": false, "Slice": nil, "DelegateControllers": nil} {
		if got := f.property(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if n := f.count("Hello"); n != 0 {
		t.Errorf("%d Hellos to a private socket", n)
	}
}

func TestSliceAndControllers(t *testing.T) {
	for controllers, want := range map[string]any{"": []string{}, "memory pids": []string{"memory", "pids"}} {
		h := testHost(t)
		f := (&fake{result: "done"}).listen(t, h, h.own()+"/systemd/private")
		_, err := h.Place(t.Context(), Request{PIDs: []int{4711}, Slice: "batch", Controllers: strings.Fields(controllers)})
		must(t, err)
		if got := f.property("DelegateControllers"); !reflect.DeepEqual(got, want) || f.property("Delegate") != nil {
			t.Errorf("%q: DelegateControllers %v, Delegate %v", controllers, got, f.property("Delegate"))
		}
		if got := f.property("Slice"); got != "batch.slice" {
			t.Errorf("slice %v", got)
		}
	}
}

func FuzzLegible(f *testing.F) {
	f.Add("make -j8")
	f.Add("sh -c 'a\nb' \\")
	f.Add("a\u009b2J\u202eb\u2028")
	f.Add("\xff\x00" + strings.Repeat("ü", 300))
	f.Fuzz(func(t *testing.T, text string) {
		got := legible(text)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\x1b\u009b\u202e\u2028") || strings.HasSuffix(got, "\\") || utf8.RuneCountInString(got) > 200 {
			t.Errorf("%q became %q", text, got)
		}
		if again := legible(got); again != got {
			t.Errorf("%q became %q, and that %q", text, got, again)
		}
	})
}

// What each answer of the manager becomes: one line that says what was tried, and
// what came back.
func TestAnswers(t *testing.T) {
	for name, want := range map[string]string{
		"org.freedesktop.systemd1.UnitExists":              "another unit has this name (UnitExists: so it said)",
		"org.freedesktop.DBus.Error.InvalidArgs":           "does not accept the request (InvalidArgs: so it said)",
		"org.freedesktop.DBus.Error.UnixProcessIdUnknown":  "is gone (UnixProcessIdUnknown: so it said)",
		"org.freedesktop.DBus.Error.FileNotFound":          "nothing to move (FileNotFound: so it said)",
		"org.freedesktop.DBus.Error.AccessDenied":          "does not allow us this (AccessDenied: so it said)",
		"org.freedesktop.DBus.Error.NoReply":               "did not answer the bus, or left it (NoReply: so it said)",
		"org.freedesktop.DBus.Error.LimitsExceeded":        "no room for more (LimitsExceeded: so it said)",
		"org.freedesktop.DBus.Error.ServiceUnknown":        "no manager on this bus (ServiceUnknown: so it said)",
		"org.freedesktop.DBus.Error.Spawn.ChildExited":     "could not start a manager (ChildExited: so it said)",
		"org.freedesktop.systemd1.SomethingNobodyForetold": "private: SomethingNobodyForetold: so it said",
	} {
		h := testHost(t)
		f := (&fake{result: "done", refuse: map[string][]string{"StartTransientUnit": {name, name}}}).listen(t, h, h.own()+"/systemd/private")
		_, err := place(t, h, patient)
		if wantLine(t, err, want); !strings.Contains(err.Error(), "starting supervise-") {
			t.Errorf("%s: what was tried? %v", name, err)
		}
		tries := 1
		if name == unitExists {
			tries = 2
		}
		if got := f.count("StartTransientUnit"); got != tries {
			t.Errorf("%s: tried %d times", name, got)
		}
		notMoved(t, h)
	}
}

// wantLine checks that an error has a message of one line, with a text in it.
func wantLine(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", text)
	}
	if s := err.Error(); !strings.Contains(s, text) || strings.Contains(s, "\n") || len(s) > 500 {
		t.Errorf("got %q, want %q", s, text)
	}
}

func notMoved(t *testing.T, h *Host) {
	t.Helper()
	if at, err := h.cgroupOf(4711); err != nil || !strings.HasSuffix(at, "/session-2.scope") {
		t.Errorf("the process is in %s, %v", at, err)
	}
}

func TestNameTakenOnce(t *testing.T) {
	h := testHost(t)
	f := (&fake{result: "done", refuse: map[string][]string{"StartTransientUnit": {unitExists}}}).listen(t, h, h.own()+"/systemd/private")
	if p, err := place(t, h, patient); err != nil || p.Origin != NewScope {
		t.Errorf("got %+v, %v", p, err)
	}
	if n := f.count("ResetFailedUnit"); n != 1 {
		t.Errorf("%d calls of ResetFailedUnit", n)
	}
}

// A child that was reaped meanwhile is left out, also when it is attached.
func TestGoneMeanwhile(t *testing.T) {
	h := testHost(t)
	f := (&fake{result: "done", refuse: map[string][]string{"StartTransientUnit": {noProcess}, "AttachProcessesToUnit": {noProcess}}}).
		listen(t, h, h.own()+"/systemd/private")
	_, err := h.Place(t.Context(), Request{PIDs: []int{4711, 4712}})
	must(t, err)
	if got := f.property("PIDs"); !reflect.DeepEqual(got, []uint32{4711}) {
		t.Errorf("moved %v", got)
	}
	must(t, h.Attach(t.Context(), "supervise-1.scope", "", []int{4711, 4712}))
	if got := f.last.Body[2]; !reflect.DeepEqual(got, []uint32{4711}) {
		t.Errorf("attached %v", got)
	}
	_, err = h.Place(t.Context(), Request{PIDs: []int{4712}})
	wantLine(t, err, "there is no process 4712")
}

func TestJobResults(t *testing.T) {
	for _, c := range []struct {
		fake  *fake
		limit time.Duration
		want  string
	}{
		{&fake{result: "failed", idle: true}, patient, `job ended as "failed"`},
		{&fake{result: "canceled", idle: true}, patient, `job ended as "canceled"`},
		{&fake{idle: true}, short, "may still be carried out: no answer in time"},
		{&fake{result: "done", idle: true}, patient, "said done, but process 4711 is in /user.slice/user-7.slice/session-2.scope"},
		{&fake{hangup: "StartTransientUnit"}, patient, "closed the connection"},
	} {
		h := testHost(t)
		c.fake.listen(t, h, h.own()+"/systemd/private")
		_, err := place(t, h, c.limit)
		wantLine(t, err, c.want)
		notMoved(t, h)
	}
}
