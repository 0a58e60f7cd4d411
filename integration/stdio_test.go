package integration

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestStdioIsUntouched: bytes of all kinds go in and out by the job's own descriptors, and none is added.
func TestStdioIsUntouched(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		data := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{}).Read(data)
		p := b.start(b.run(c, nil, sh("tee /dev/stderr")...))
		if _, err := p.stdin.Write(data); err != nil {
			t.Fatal(err)
		}
		p.closeStdin()
		o := p.wait()
		o.wantCode(0)
		for name, got := range map[string]string{"stdout": o.stdout, "stderr": o.stderr} {
			if sha256.Sum256([]byte(got)) != sha256.Sum256(data) {
				t.Errorf("%s: %d bytes, not the %d that went in", name, len(got), len(data))
			}
		}
	})
}

// TestSameDescriptions: the job has the very files that supervise was given, and supervise sets no flags on them.
func TestSameDescriptions(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		out, err := os.CreateTemp(b.dir, "out")
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		l := b.run(c, nil, sh("echo one; echo two >&2; echo three")...)
		l.stdout, l.stderr = out, out
		b.start(l).wait().wantCode(0)
		// One description, one offset: nothing is overwritten.
		if data, _ := os.ReadFile(out.Name()); string(data) != "one\ntwo\nthree\n" {
			t.Errorf("the file has %q", data)
		}
	})
}

func TestExtraDescriptors(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		l := b.run(c, nil, sh("echo through >&4")...)
		l.extra = []*os.File{w}
		p := b.start(l)
		w.Close()
		p.wait().wantCode(0)
		if data, _ := io.ReadAll(r); string(data) != "through\n" {
			t.Errorf("descriptor 4 got %q", data)
		}
	})
}

// A property of a process that supervise must not change, as a script that prints it.
var inherited = map[string]string{
	"descriptors":     "ls /proc/$$/fd",
	"signals":         "exec grep -E '^Sig(Blk|Ign)' /proc/self/status", // exec: a shell blocks signals around a fork
	"limits":          "grep -v 'file locks' /proc/$$/limits",           // which limits nothing: it is the job's mark
	"environment":     "env | grep -v ^_= | sort",
	"directory":       "pwd; umask",
	"nice and oom":    "nice; cat /proc/$$/oom_score_adj",
	"capabilities":    "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/$$/status",
	"namespaces":      "readlink /proc/$$/ns/*",
	"descriptor dirs": "readlink /proc/$$/cwd /proc/$$/root",
	"affinity":        "grep -E '^Cpus_allowed' /proc/$$/status",
}

// TestInheritance: what a job sees of itself is the same with and without supervise, also where a caller has set something
// unusual: a low limit of descriptors, which the Go runtime raises for itself, and ignored signals, most of which it forgets.
func TestInheritance(t *testing.T) {
	const unusual = `ulimit -Sn 300; trap '' HUP INT TTOU PIPE TERM CHLD; umask 027; exec "$@"`
	for _, c := range []containment{inCgroup, inSubreaper} {
		t.Run(string(c), func(t *testing.T) {
			if c == inCgroup {
				needCgroup(t)
			}
			b := newBox(t)
			for name, script := range inherited {
				bare := b.start(launch{argv: sh(unusual, "sh", "sh", "-c", script)}).wait()
				with := b.start(launch{argv: sh(unusual, append([]string{"sh", bin.supervise, "run", c.flag(), "--"}, sh(script)...)...)}).wait()
				if bare.stdout != with.stdout || with.code != 0 {
					t.Errorf("%s: bare %q, under supervise %q (status %d, stderr %q)", name, bare.stdout, with.stdout, with.code, with.stderr)
				}
			}
		})
	}
}

// TestIgnoredSignals: who starts supervise may ignore SIGCHLD, whereupon the kernel would reap for it, and HUP, as nohup does.
func TestIgnoredSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, nil, adversary("daemon", "-exit=7")...)
		l.argv = sh(`trap '' CHLD HUP; exec "$@"`, append([]string{"sh"}, l.argv...)...)
		p := b.start(l)
		p.expect("ready")
		p.signal(syscall.SIGHUP)
		p.closeStdin()
		byMain.check(p.wait(), c)
	})
}

// TestStdoutClosedByPeer: SIGPIPE is the job's affair.
func TestStdoutClosedByPeer(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		l := b.run(c, nil, "yes")
		l.stdout = w
		p := b.start(l)
		w.Close()
		o := p.wait()
		o.wantCode(128 + 13)
		o.wantRecord(c, "signaled").wantSignal(t, "SIGPIPE")
	})
}

// TestStderrClosedByPeer: what supervise has to say reaches nobody, and its status is the same.
func TestStderrClosedByPeer(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, tc := range []struct {
			flags []string
			argv  []string
			code  int
		}{{[]string{"--summary"}, sh("exit 4"), 4}, {[]string{"--leftovers=fail"}, sh("sleep 1000 &"), 125}, {nil, []string{"/nonexistent"}, 127}} {
			b := newBox(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			l := b.run(c, tc.flags, tc.argv...)
			l.stderr = w
			p := b.start(l)
			w.Close()
			o := p.wait()
			if o.code != tc.code {
				t.Errorf("%q: status %d, signal %v, want %d", tc.argv, o.code, o.signal, tc.code)
			}
		}
	})
}

// TestStdioClosed: with descriptors 0, 1 and 2 closed, nothing that supervise opens may take their place in the job.
func TestStdioClosed(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, nil, sh("echo out; echo err >&2; read x; exit 3")...)
		l.argv = sh(`exec "$@" <&- >&- 2>&-`, append([]string{"sh"}, l.argv...)...)
		o := b.start(l).wait()
		o.wantCode(3)
		o.wantRecord(c, "exited").wantExit(t, 3)
		if strings.TrimSpace(o.stdout+o.stderr) != "" {
			t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
		}
	})
}
