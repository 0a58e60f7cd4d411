package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// Under the name of the program this binary is the program.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runOCI(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Cmd{Path: exe, Args: append([]string{program}, args...), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}
	cmd.Run() // the exit code says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

const document = `{"memory": {"limit": 1048576}, "pids": {"limit": 0}, "unified": {"cgroup.max.depth": "2"}}`

const answered = `[{"name":"memory.limit","controller":"memory","file":"memory.max","value":"1048576"},` +
	`{"name":"pids.limit","controller":"pids","file":"pids.max","value":"max"},` +
	`{"name":"unified[\"cgroup.max.depth\"]","controller":"","file":"cgroup.max.depth","value":"2"}]` + "\n"

func TestLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"ociVersion": "1.2.0", "linux": {"resources": `+document+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{document, []string{"--limits", "-"}, answered},
		{"", []string{"--limits=" + file}, answered},
		{"{}", []string{"--limits=-"}, "[]\n"},
	} {
		if out, errs, code := runOCI(t, c.stdin, c.args...); out != c.want || errs != "" || code != 0 {
			t.Errorf("%v: exit status %d, %s%s", c.args, code, out, errs)
		}
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a\nb")
	if err := os.WriteFile(file, []byte(`{"memory": {"limits": 1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{`{"cpu": {"quota": 5}}`, []string{"--limits", "-"}, cli.ExitFailed, "cpu.quota: 5 is not from 1000 to 17592186044415"},
		{"", []string{"--limits", file}, cli.ExitFailed, dir + `/a; b: memory: unknown field "limits"`},
		{"", []string{"--limits", "/nonexistent"}, cli.ExitFailed, "open /nonexistent: no such file or directory"},
		{"", []string{"--limits", "/"}, cli.ExitFailed, "/: reading the resources: read /: is a directory"},
		{"", []string{"--metrics", dir}, cli.ExitFailed, dir + " is not a cgroup v2 directory below the root"},
		{"", []string{"--metrics", "/nonexistent"}, cli.ExitFailed, "/nonexistent is not a cgroup v2 directory below the root"},
		{"", nil, cli.ExitUsage, "want --limits FILE or --metrics CGROUP; supervise-oci --help says more"},
		{"", []string{"--limit", "x"}, cli.ExitUsage, `no flag --limit; did you mean --limits?; supervise-oci --help lists them`},
		{"", []string{"config.json"}, cli.ExitUsage, `"config.json" is no flag; supervise-oci --help lists them`},
		{"", []string{"--limits"}, cli.ExitUsage, "--limits needs a value"},
		{"", []string{"--metrics="}, cli.ExitUsage, `--metrics "": must not be empty`},
		{"", []string{"--limits", "-", "--metrics", "x"}, cli.ExitUsage, "--limits and --metrics exclude each other"},
	} {
		out, errs, code := runOCI(t, c.stdin, c.args...)
		if code != c.code || out != "" || errs != program+": "+c.want+"\n" {
			t.Errorf("%q: exit status %d, %s%s", c.args, code, out, errs)
		}
	}
}

// The help is no wider than a terminal.
func TestHelp(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		if out, errs, code := runOCI(t, "", flag); out != helpText || errs != "" || code != 0 {
			t.Errorf("exit status %d, %s%s", code, out, errs)
		}
	}
	for line := range strings.Lines(helpText) {
		if len(line) > 81 {
			t.Errorf("too wide: %s", line)
		}
	}
}

// The metrics of a cgroup, here of plain files in its stead, with the cpu, memory
// and pids controllers: zeros are printed, and what is not there is null.
// Protobuf's JSON has 64-bit numbers as strings.
func TestMetrics(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"cgroup.type":        "domain\n",
		"cgroup.controllers": "cpu memory pids\n",
		"cpu.stat":           "usage_usec 30\nuser_usec 20\nsystem_usec 10\n",
		"memory.stat":        "anon 4096\n",
		"memory.max":         "max\n",
		"pids.current":       "3\n",
		"pids.max":           "7\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, code := runOCI(t, "", "--metrics", dir)
	if errs != "" || code != 0 || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit status %d, %s%s", code, out, errs)
	}
	if !json.Valid([]byte(out)) {
		t.Errorf("not JSON: %s", out)
	}
	for _, want := range []string{
		`"pids":{"current":"3","limit":"7"}`, `"usageUsec":"30"`, `"nrPeriods":"0"`, `"anon":"4096"`,
		`"usageLimit":"18446744073709551615"`, `"io":{"usage":[],"psi":null}`, `"rdma":null`, `"memoryEvents":null`, `"hugetlb":[]`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}
