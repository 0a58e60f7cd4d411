package limits

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A manager is the system's, or that of the user tester, who lingers and is logged in.
type manager struct {
	name string
	as   []string // the words before systemd-run's flags
}

func managers() []manager {
	login := []string{"systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "User=tester", "-p", "PAMName=login"}
	return []manager{{"system", []string{"systemd-run"}}, {"user", append(login, "systemd-run", "--user")}}
}

// unit numbers the units of this test binary.
var unit atomic.Int32

// unit runs a shell script in a unit of the manager's, and returns its output.
func (m manager) unit(t *testing.T, kind, script string, properties ...string) (out string, code int) {
	t.Helper()
	name := fmt.Sprintf("around-%d", unit.Add(1))
	argv := append(m.as[:len(m.as):len(m.as)], "--quiet", "--collect", "--unit="+name)
	if kind == "scope" {
		argv = append(argv, "--scope")
	} else {
		argv = append(argv, "--wait", "--pipe")
	}
	for _, p := range properties {
		argv = append(argv, "-p", p)
	}
	file := filepath.Join(t.TempDir(), "script")
	for d := filepath.Dir(file); d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	if err := os.WriteFile(file, []byte(script+"\nexit $?\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(argv[0], append(argv[1:], "sh", file)...)
	c.Stderr = os.Stderr
	b, err := c.Output()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), c.ProcessState.ExitCode()
}

// TestAroundStays: a unit that limits anything is not left, the system's or the user's; nor is a service.
func TestAroundStays(t *testing.T) {
	need(t)
	script := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise") + ` run -- sed -n s/^0:://p /proc/self/cgroup`
	m := managers()
	system, user := m[0], m[1]
	for _, tt := range []struct {
		m          manager
		kind       string
		properties string
		stays      bool
	}{
		{system, "scope", "", false},
		{system, "scope", "Delegate=yes", false}, // the shell is there too
		{system, "scope", "MemoryMax=60M", true},
		{system, "scope", "Delegate=yes,MemoryMax=60M", true},
		{system, "scope", "MemoryHigh=60M", true},
		{system, "scope", "TasksMax=20", true},
		{system, "scope", "CPUQuota=90%", true},
		{system, "scope", "AllowedCPUs=0", true},
		{system, "scope", "IOReadBandwidthMax=/dev/vda 1M", true},
		{system, "service", "", true},
		{user, "scope", "", false},
		{user, "scope", "MemoryMax=60M", true},
		{user, "scope", "TasksMax=20", true},
		{user, "scope", "CPUQuota=90%", true},
		{user, "service", "", true},
	} {
		t.Run(tt.m.name+"/"+tt.kind+"/"+tt.properties, func(t *testing.T) {
			out, code := tt.m.unit(t, tt.kind, script, strings.FieldsFunc(tt.properties, func(r rune) bool { return r == ',' })...)
			if stays := strings.Contains(out, "/around-"); code != 0 || stays != tt.stays {
				t.Errorf("status %d, in %s", code, out)
			}
		})
	}
}

// TestAroundHolds: the limits of the unit hold for the job, which has none; the record tells whose memory ran out.
func TestAroundHolds(t *testing.T) {
	need(t)
	bin := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise")
	for _, m := range managers() {
		for _, kind := range []string{"scope", "service"} {
			t.Run(m.name+"/"+kind, func(t *testing.T) {
				record := filepath.Join(t.TempDir(), "record")
				for d := filepath.Dir(record); d != "/"; d = filepath.Dir(d) {
					os.Chmod(d, 0o777)
				}
				script := fmt.Sprintf(`%s run --record %s -- dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?`, bin, record)
				out, _ := m.unit(t, kind, script, "MemoryMax=60M", "MemorySwapMax=0", "OOMPolicy=continue")
				b, err := os.ReadFile(record)
				if err != nil || strings.TrimSpace(out) != "137" {
					t.Fatalf("status %q, %v", out, err)
				}
				for _, want := range []string{`"cause":"oom"`, `"oom_killed":true`, `"by":"ancestor"`, "/around-", `"kills":null`} {
					if !strings.Contains(string(b), want) {
						t.Errorf("no %s in the record: %s", want, b)
					}
				}
				script = bin + ` run -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1000 & done; echo all'`
				if out, _ := m.unit(t, kind, script, "TasksMax=15"); strings.Contains(out, "all") {
					t.Error("20 processes where 15 may be")
				}
			})
		}
	}
}

// TestAroundOOM: a job without a counter of its own. The unit's tells whether anything was killed; who it was, only the main
// process of the job does.
func TestAroundOOM(t *testing.T) {
	need(t)
	bin := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise")
	const grow = "dd if=/dev/zero of=/dev/null bs=200M count=1"
	for _, contain := range []string{"cgroup", "subreaper"} {
		for _, tt := range []struct{ what, job, before, want string }{
			{"nothing", "true", "true", `"oom_killed":false`},
			{"killed by itself", "kill -KILL $$", "true", `"oom_killed":false`},
			{"before the job", "true", grow, `"oom_killed":false`},
			{"the main process", "exec " + grow, "true", `"oom_killed":true`},
			{"a child, which the shell tells of", grow, "true", `"oom_killed":true`},
			{"a child, of which nobody tells", grow + "; true", "true", `"oom_killed":null`},
		} {
			t.Run(contain+"/"+tt.what, func(t *testing.T) {
				script := fmt.Sprintf("%s\n%s run --contain=%s --record - -- sh -c '%s'", tt.before, bin, contain, tt.job)
				out, _ := managers()[0].unit(t, "service", script, "MemoryMax=60M", "MemorySwapMax=0", "OOMPolicy=continue", "Delegate=yes")
				if !strings.Contains(out, tt.want) || strings.Contains(out, `"oom":{`) != (tt.want == `"oom_killed":true`) {
					t.Errorf("no %s in %s", tt.want, out)
				}
			})
		}
	}
}

// TestAroundLimits: a limit of the job's own, which only leaving would give, is refused; the message has the fix, and the flag by
// which it is left.
func TestAroundLimits(t *testing.T) {
	need(t)
	bin := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise")
	m := managers()[0]
	for kind, fix := range map[string]string{"service": "Delegate=yes", "scope": "--scope=new"} {
		out, code := m.unit(t, kind, bin+` run --memory-max 100M -- echo started 2>&1`, "MemoryMax=60M")
		if code != 125 || strings.Count(out, "\n") != 1 || !strings.Contains(out, fix) {
			t.Errorf("%s: status %d, %s", kind, code, out)
		}
		out, code = m.unit(t, kind, bin+` run --scope=new --memory-max 100M -- cat /proc/self/cgroup`, "MemoryMax=60M")
		if code != 0 || !strings.Contains(out, "/supervise-") {
			t.Errorf("%s, left by name: status %d, %s", kind, code, out)
		}
	}
}

// TestAroundSudo: the job of root is not put below a directory of the user's, in whose job it starts.
func TestAroundSudo(t *testing.T) {
	need(t)
	bin := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise")
	m := managers()[1]
	// What sudo does is done from outside: root's process is moved into the user's job.
	script := bin + ` run --memory-max 100M -- sh -c 'cut -d: -f3 /proc/self/cgroup; read x < ` + "FIFO" + `'`
	fifo := filepath.Join(t.TempDir(), "fifo")
	for d := filepath.Dir(fifo); d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	if out, err := exec.Command("sh", "-c", "umask 0; mkfifo "+fifo+" "+fifo+".at").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	script = strings.Replace(strings.Replace(script, "FIFO", fifo, 1), "; read", " >"+fifo+".at; read", 1)
	done := make(chan string, 1)
	go func() { out, code := m.unit(t, "scope", script); done <- fmt.Sprint(out, code) }()
	at, err := os.ReadFile(fifo + ".at")
	if err != nil {
		t.Fatal(err)
	}
	dir := "/sys/fs/cgroup" + strings.TrimSpace(string(at))
	for _, tt := range []struct {
		flags string
		code  int
		want  string
	}{
		{"", 0, "belongs to user"},
		{"--memory-max 50M", 125, "belongs to user"},
		{"--contain=cgroup", 125, "belongs to user"},
	} {
		c := exec.Command("sh", "-c", fmt.Sprintf(`echo 0 >%s/cgroup.procs && exec %s run %s --record - -- true`, dir, bin, tt.flags))
		b, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != tt.code || !strings.Contains(string(b), tt.want) || strings.Contains(string(b), `"containment":"cgroup"`) {
			t.Errorf("%q: status %d, %s", tt.flags, c.ProcessState.ExitCode(), b)
		}
	}
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	<-done
}
