package node

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// deadline is how long one program may take.
const deadline = 5 * time.Minute

// sources is a copy of the package that may be written to.
func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../contrib/node")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program in a directory with supervise on PATH, and returns its output. It fails the test if the program fails.
func run(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "SUPERVISE_BIN=")
	cmd.Env = append(cmd.Env, "npm_config_cache="+t.TempDir(), "npm_config_offline=true", "npm_config_update_notifier=false")
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 10 * time.Second // who inherited its output does not hold us up
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// containment is what supervise without arguments gives here. Where systemd has to be asked for a scope, that may be either
// at any one moment.
func containment() string {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return ""
	}
	if exec.Command(filepath.Join(bin, "supervise"), "run", "--contain=cgroup", "--", "true").Run() == nil {
		return "cgroup"
	}
	return "subreaper"
}

func TestSuite(t *testing.T) {
	node := testbed.Program(t, "node")
	protocol, err := filepath.Abs("../../protocol")
	if err != nil {
		t.Fatal(err)
	}
	dir := sources(t)
	tests, err := filepath.Glob(filepath.Join(dir, "test", "*.test.js"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	env := []string{"SUPERVISE_CONTAINMENT=" + containment(), "TMPDIR=" + t.TempDir()}
	env = append(env, "SUPERVISE_CONFORMANCE="+filepath.Join(protocol, "testdata", "conformance.jsonl"), "SUPERVISE_SCHEMAS="+protocol)
	for _, file := range tests {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel() // the tests wait most of the time
			t.Log(counts(run(t, dir, env, node, file)))
		})
	}
}

// counts is what node:test says in the end: how many tests there were, and how many were skipped.
func counts(out string) string {
	var told []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line) // "# pass 3"
		if len(words) == 3 && slices.Contains([]string{"tests", "pass", "fail", "skipped"}, words[1]) {
			told = append(told, words[1]+" "+words[2])
		}
	}
	return strings.Join(told, ", ")
}

// TestPackage packs the package, and installs it where there is nothing else: for import, for require, and for TypeScript.
func TestPackage(t *testing.T) {
	node, npm := testbed.Program(t, "node"), testbed.Program(t, "npm")
	dir, user := sources(t), t.TempDir()
	file := strings.TrimSpace(run(t, dir, nil, npm, "pack", "--silent", "--pack-destination", user))
	write(t, user, "package.json", "{}")
	run(t, user, nil, npm, "install", "--silent", "--no-audit", "--no-fund", "./"+file)

	write(t, user, "program.mjs", `import { run } from 'supervise-api';
import { ScriptedServer } from 'supervise-api/testing';
const { code } = await run(['sh', '-c', 'exit 3']);
console.log(code, typeof ScriptedServer);`)
	write(t, user, "program.cjs", `const { run } = require('supervise-api');
const { ScriptedServer } = require('supervise-api/testing');
run(['sh', '-c', 'exit 3']).then(({ code }) => console.log(code, typeof ScriptedServer));`)
	for _, program := range []string{"program.mjs", "program.cjs"} {
		if out := run(t, user, nil, node, program); out != "3 function\n" {
			t.Errorf("%s says %q", program, out)
		}
	}
	checkTypes(t, dir, user)
}

// checkTypes compiles a program that uses all types, and the examples.
func checkTypes(t *testing.T, dir, user string) {
	t.Helper()
	tsc, npm := testbed.Program(t, "tsc"), testbed.Program(t, "npm")
	types := filepath.Join(strings.TrimSpace(run(t, user, nil, npm, "root", "--global")), "@types")
	if _, err := os.Stat(filepath.Join(types, "node")); err != nil {
		testbed.Need(t, "@types/node", err)
	}
	for _, name := range []string{"types.ts", "tsconfig.json"} {
		text, err := os.ReadFile(filepath.Join(dir, "test", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, user, name, string(text))
	}
	run(t, user, nil, tsc, "--project", ".", "--typeRoots", types)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestPacked checks what the package consists of: what a user needs, and nothing else.
func TestPacked(t *testing.T) {
	npm := testbed.Program(t, "npm")
	dir := sources(t)
	out := run(t, dir, nil, npm, "pack", "--dry-run", "--json")
	for _, name := range []string{"lib/index.js", "lib/index.mjs", "lib/index.d.ts", "lib/index.d.mts", "testing/index.d.ts", "README.md", "examples/judge.mjs"} {
		if !strings.Contains(out, `"`+name+`"`) {
			t.Errorf("%s is not packed", name)
		}
	}
	if strings.Contains(out, `"test/`) {
		t.Error("tests are packed")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); !errors.Is(err, os.ErrNotExist) {
		t.Error("there are dependencies")
	}
}
