package integration

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// work is a job that uses processor time in a child too, and says who and where it is.
const work = `echo main $$; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; (while [ $i -gt 0 ]; do i=$((i-1)); done); grep ^0:: /proc/self/cgroup; exit 3`

func TestRecord(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		argv := sh(work, "zero", "one two", "", "\xff")
		p := b.start(b.run(c, []string{"--name", "my job"}, argv...))
		o := p.wait()
		o.wantCode(3)
		r := o.wantRecord(c, "exited")
		r.wantExit(t, 3)
		if want := strings.Split(strings.ToValidUTF8(strings.Join(argv, "\x00"), "\uFFFD"), "\x00"); !reflect.DeepEqual(r.Argv, want) {
			t.Errorf("argv %q, want %q", r.Argv, want)
		}
		if r.Name != "my job" {
			t.Errorf("name %q", r.Name)
		}
		if r.PID == nil || *r.PID != p.printedPid("main") {
			t.Errorf("pid %s, want %d", orNull(r.PID), p.printedPid("main"))
		}
		if r.Version == "" {
			t.Error("no version")
		}
		checkPlace(t, r, o.stdout)
		checkTimes(t, o)
		if r.Leftovers == nil || len(r.Leftovers) != 0 {
			t.Errorf("leftovers %+v, want []", r.Leftovers)
		}
		if r.Reaped == nil || *r.Reaped < 1 {
			t.Errorf("reaped %s", orNull(r.Reaped))
		}
	})
}

// checkPlace compares the record's cgroup with what the job saw.
func checkPlace(t *testing.T, r *record, stdout string) {
	t.Helper()
	if r.Containment == string(inSubreaper) {
		if r.Cgroup != nil {
			t.Errorf("cgroup %q in the fallback, want null", *r.Cgroup)
		}
		return
	}
	if r.ContainmentReason != nil && *r.ContainmentReason != "" && !managed { // systemd leaves a choice, of which the reason is told
		t.Errorf("containment_reason %q in a cgroup", *r.ContainmentReason)
	}
	_, seen, _ := strings.Cut(strings.TrimSpace(stdout), "0::")
	if r.Cgroup == nil || !strings.HasSuffix(strings.TrimSuffix(seen, "/main"), *r.Cgroup) && !strings.HasSuffix(*r.Cgroup, strings.TrimSuffix(seen, "/main")) {
		t.Errorf("cgroup %s, the job was in %q", orNull(r.Cgroup), seen)
	}
}

// checkTimes checks that started, ended, wall_s and cpu agree with each other and with what the test saw.
func checkTimes(t *testing.T, o outcome) {
	t.Helper()
	r := o.record
	if r.Started == nil || r.Ended == nil || r.WallS == nil || r.CPU == nil || r.CPU.UserS == nil || r.CPU.SystemS == nil {
		t.Fatalf("started %s, ended %s, wall_s %s, cpu %+v: want all", orNull(r.Started), orNull(r.Ended), orNull(r.WallS), r.CPU)
	}
	started, _ := time.Parse(time.RFC3339Nano, *r.Started)
	ended, _ := time.Parse(time.RFC3339Nano, *r.Ended)
	wall := time.Duration(*r.WallS * float64(time.Second))
	if diff := (ended.Sub(started) - wall).Abs(); diff > 50*time.Millisecond {
		t.Errorf("ended - started is %v, wall_s %v", ended.Sub(started), wall)
	}
	if wall <= 0 || wall > o.took {
		t.Errorf("wall_s %v, but supervise ran for %v", wall, o.took)
	}
	if used := *r.CPU.UserS + *r.CPU.SystemS; used < 0.02 || used > 2*o.took.Seconds() {
		t.Errorf("cpu %.3f s in a run of %v", used, o.took)
	}
}

// TestRecordCPU: the time of what was killed as a leftover counts too.
func TestRecordCPU(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		const script = `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo ready; exec sleep 1000' & read x; exit 0`
		p := b.start(b.run(c, nil, sh(script)...))
		p.expect("ready")
		p.closeStdin()
		r := p.wait().wantRecord(c, "exited")
		if r.CPU == nil || r.CPU.UserS == nil || *r.CPU.UserS < 0.05 {
			t.Errorf("cpu %+v, want the leftover's too", r.CPU)
		}
	})
}

// TestRecordAppearsWhole: the file is the old one until the record replaces it by rename, and nothing else is left beside it.
func TestRecordAppearsWhole(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, nil, adversary("hold")...)
		if err := os.WriteFile(l.record, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		watch := watchFile(t, b.dir)
		p := b.start(l)
		p.expect("ready")
		if data, _ := os.ReadFile(l.record); string(data) != "old" {
			t.Errorf("during the job the record is %q", data)
		}
		p.closeStdin()
		o := p.wait()
		o.wantRecord(c, "exited")
		name := filepath.Base(l.record)
		if events := watch(); events[name] != unix.IN_MOVED_TO {
			t.Errorf("the record file saw the inotify events %#x, want IN_MOVED_TO alone", events[name])
		}
		if entries, _ := os.ReadDir(b.dir); len(entries) != 1 {
			t.Errorf("beside the record: %v", entries)
		}
	})
}

// watchFile records what happens to the files of a directory until the returned function is called.
func watchFile(t *testing.T, dir string) func() map[string]uint32 {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		t.Fatal(err)
	}
	return func() map[string]uint32 {
		seen := map[string]uint32{}
		buf := make([]byte, 16<<10)
		n, _ := unix.Read(fd, buf)
		for n > unix.SizeofInotifyEvent {
			// struct inotify_event: wd, mask, cookie, len (4 bytes each), name of len bytes
			mask, size := binary.NativeEndian.Uint32(buf[4:]), int(binary.NativeEndian.Uint32(buf[12:]))
			name := string(bytes.TrimRight(buf[16:16+size], "\x00"))
			seen[name] |= mask
			buf, n = buf[16+size:], n-16-size
		}
		return seen
	}
}

// TestRecordToDescriptor: fd:N is one line of JSON, and the end of what is written there.
func TestRecordToDescriptor(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		argv := []string{bin.supervise, "run", c.flag(), "--record=fd:4", "--", "sh", "-c", "exit 3"}
		p := b.start(launch{argv: argv, extra: []*os.File{w}})
		w.Close()
		o := p.wait()
		o.wantCode(3)
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		checkLine(t, string(data))
		o.record = decodeRecord(t, data)
		o.wantRecord(c, "exited").wantExit(t, 3)
	})
}

func checkLine(t *testing.T, data string) {
	t.Helper()
	if strings.Count(data, "\n") != 1 || !strings.HasSuffix(data, "\n") {
		t.Errorf("the record is not one line: %q", data)
	}
}

func TestRecordToStdout(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(launch{argv: []string{bin.supervise, "run", c.flag(), "--record", "-", "--", "echo", "hello"}}).wait()
		o.wantCode(0)
		rest, ok := strings.CutPrefix(o.stdout, "hello\n")
		if !ok {
			t.Fatalf("stdout %q", o.stdout)
		}
		checkLine(t, rest)
		o.record = decodeRecord(t, []byte(rest))
		o.wantRecord(c, "exited").wantExit(t, 0)
	})
}

// TestRecordNowhere: a record that could not be written is our failure, seen before the job is started where that is possible.
func TestRecordNowhere(t *testing.T) {
	for _, where := range []string{"/nonexistent/record", "fd:77", "fd:x", "/dev/null/record"} {
		b := newBox(t)
		o := b.start(launch{argv: []string{bin.supervise, "run", "--record", where, "--", "echo", "started"}}).wait()
		if o.code != 125 && o.code != 2 || o.stdout != "" {
			t.Errorf("--record %s: status %d, stdout %q; want 125 (or 2 for what is no place at all), and no job", where, o.code, o.stdout)
		}
		if !strings.Contains(o.stderr, "record") {
			t.Errorf("--record %s: stderr %q", where, o.stderr)
		}
	}
}

// TestRecordKeys: the record has exactly the keys of its schema, in each outcome.
func TestRecordKeys(t *testing.T) {
	want := []string{"schema", "version", "name", "argv", "pid", "cgroup", "containment", "containment_reason", "started", "ended", "wall_s",
		"exit", "cause", "cpu", "memory", "io", "pids", "pressure", "main", "oom_killed", "oom", "reaped", "phases", "limits", "unenforced",
		"leftovers", "leftovers_total", "error"}
	for _, argv := range [][]string{{"true"}, {"/nonexistent"}, sh("kill -9 $$")} {
		b := newBox(t)
		l := b.supervise(nil, argv...)
		b.start(l).wait()
		data, err := os.ReadFile(l.record)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range want {
			if _, ok := keys[key]; !ok {
				t.Errorf("%q: no key %q in %s", argv, key, data)
			}
			delete(keys, key)
		}
		if len(keys) > 0 {
			t.Errorf("%q: unknown keys in %s", argv, data)
		}
	}
}

func TestSummary(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--summary"}, sh("sleep 1000 &"+untilExec+"exit 3")...)).wait()
		o.wantCode(3)
		for _, word := range []string{"3", "sleep", string(c)} {
			if !strings.Contains(o.stderr, word) {
				t.Errorf("no %q in the summary %q", word, o.stderr)
			}
		}
		if o.stdout != "" {
			t.Errorf("stdout %q", o.stdout)
		}
	})
}

// TestTwoAtOnce: two supervise at the same time in one cgroup do not disturb each other.
func TestTwoAtOnce(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		first := b.start(b.run(c, nil, adversary("daemon", "-exit=1")...))
		first.expect("ready")
		second := b.start(b.run(c, nil, adversary("daemon", "-exit=2")...))
		second.expect("ready")
		second.signal(syscall.SIGTERM)
		second.wait().wantCode(143)
		if !first.running() {
			t.Error("the first one ended with the second")
		}
		first.closeStdin()
		first.wait().wantCode(1)
	})
}
