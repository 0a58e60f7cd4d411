package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// foreign is a user who is neither root nor the caller.
const foreign = 54321

// wantText checks what is in a file of the box.
func (b *box) wantText(name, want string) {
	b.t.Helper()
	if text, err := os.ReadFile(filepath.Join(b.dir, name)); err != nil || string(text) != want {
		b.t.Errorf("%s has %q, %v; want %q", name, text, err, want)
	}
}

// TestForeignDirectory: by links in a directory of its own another user does not have root write to a file of root's.
func TestForeignDirectory(t *testing.T) {
	needRoot(t)
	b := newBox(t)
	theirs, secret := filepath.Join(b.dir, "theirs"), filepath.Join(b.dir, "secret")
	made := errors.Join(os.Mkdir(theirs, 0o755), os.WriteFile(secret, []byte("secret"), 0o600),
		os.Symlink("../secret", theirs+"/link"), os.Link(secret, theirs+"/hard"), os.Symlink("..", theirs+"/up"),
		os.Chown(theirs, foreign, foreign), os.Lchown(theirs+"/link", foreign, foreign), os.Lchown(theirs+"/up", foreign, foreign))
	if errors.Is(made, syscall.EINVAL) {
		t.Skip("a user namespace without other users")
	}
	if made != nil {
		t.Fatal(made)
	}
	for _, flag := range []string{"--samples", "--record"} {
		for _, name := range []string{"/link", "/up/secret"} {
			o := b.start(launch{argv: []string{bin.supervise, "run", flag, theirs + name, "--", "echo", "started"}}).wait()
			o.wantCode(125)
			if o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "supervise: run: "+flag+" "+theirs+name+": ") {
				t.Errorf("%s %s: stdout %q, stderr %q", flag, name, o.stdout, o.stderr)
			}
			b.wantText("secret", "secret")
		}
		b.start(launch{argv: []string{bin.supervise, "run", flag, theirs + "/hard", "--", "echo", "started"}}).wait().wantCode(0)
		b.wantText("secret", "secret")
	}
}

// TestRecordDirectory: the record goes into the directory that was there at the start, though the job has put a link to
// another one in its place.
func TestRecordDirectory(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		out, target := filepath.Join(b.dir, "out"), filepath.Join(b.dir, "target")
		made := errors.Join(os.Mkdir(out, 0o755), os.Mkdir(target, 0o755), os.WriteFile(target+"/r.json", []byte("other"), 0o644))
		if made != nil {
			t.Fatal(made)
		}
		argv := append([]string{bin.supervise, "run", c.flag(), "--record", "out/r.json", "--"}, sh("mv out x; ln -s target out")...)
		b.start(launch{argv: argv, dir: b.dir}).wait().wantCode(0)
		b.wantText("target/r.json", "other")
		data, err := os.ReadFile(filepath.Join(b.dir, "x/r.json"))
		if err != nil {
			t.Fatal(err)
		}
		if r := decodeRecord(t, data); r.Cause != "exited" {
			t.Errorf("%s", data)
		}
	})
}

// TestSiblingElsewhere: a program that belongs to supervise is never taken from the current directory, and by root not
// from PATH at all.
func TestSiblingElsewhere(t *testing.T) {
	b := newBox(t)
	dir, want := filepath.Join(b.dir, "dir"), "supervise-oci is neither "
	made := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+"/resources.json", []byte("{}"), 0o644),
		os.WriteFile(dir+"/supervise-oci", []byte("#!/bin/sh\n>ran\necho '{}'\n"), 0o755))
	if made != nil {
		t.Fatal(made)
	}
	paths := []string{":/usr/bin:/bin", "/usr/bin:/bin:.", "/usr/bin:/bin:../dir"}
	if os.Geteuid() == 0 {
		paths, want = append(paths, "/usr/bin:/bin:"+dir), "supervise-oci is neither in "+b.dir+" nor in "
	}
	for _, path := range paths {
		argv := []string{bin.supervise, "run", "--contain=subreaper", "--resources", "resources.json", "--", "echo", "started"}
		o := b.start(b.withoutScopes(launch{argv: argv, dir: dir, env: []string{"PATH=" + path}})).wait()
		o.wantCode(125)
		if o.stdout != "" || !strings.Contains(o.stderr, want) {
			t.Errorf("PATH=%s: stdout %q, stderr %q", path, o.stdout, o.stderr)
		}
		if _, err := os.Stat(dir + "/ran"); err == nil {
			t.Errorf("PATH=%s: what lay there was run", path)
		}
	}
}
