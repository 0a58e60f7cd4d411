package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWhileLinked: the job ends when its file has no link left, and not before.
func TestWhileLinked(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		t.Run("gone", func(t *testing.T) {
			b := newBox(t)
			file := newLink(t, b)
			p := b.start(b.run(c, []string{"--while-linked=" + file}, adversary("daemon", "-exit=7")...))
			p.expect("ready")
			os.Remove(file)
			o := p.wait()
			o.wantCode(128 + 9)
			o.wantRecord(c, "owner-gone")
		})
		t.Run("another link, another name", func(t *testing.T) {
			b := newBox(t)
			file := newLink(t, b)
			p := b.start(b.run(c, []string{"--while-linked", file}, adversary("daemon", "-exit=7")...))
			p.expect("ready")
			if err := os.Link(file, file+".2"); err != nil {
				t.Fatal(err)
			}
			os.Remove(file)
			os.Rename(file+".2", file)
			p.closeStdin()
			o := p.wait()
			o.wantCode(7)
			o.wantRecord(c, "exited")
		})
	})
}

func newLink(t *testing.T, b *box) string {
	t.Helper()
	file := filepath.Join(b.dir, "linked")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestWhileLinkedRefused: what cannot be watched is no start.
func TestWhileLinkedRefused(t *testing.T) {
	b := newBox(t)
	for path, want := range map[string]string{
		filepath.Join(b.dir, "none"): "no such file or directory", b.dir: "want a file, not a directory",
	} {
		o := b.start(b.run(inSubreaper, []string{"--while-linked", path}, "true")).wait()
		o.wantCode(125)
		if line := "supervise: run: --while-linked " + path + ": " + want + "\n"; o.stderr != line {
			t.Errorf("stderr %q, want %q", o.stderr, line)
		}
	}
}
