package replace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFile: a file appears, is replaced, and is left alone where it is none; nothing else is left.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.prom")
	for _, text := range []string{"one", "two"} {
		if err := File(name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(name); string(b) != text {
			t.Errorf("it has %q instead of %q", b, text)
		}
	}
	if st, _ := os.Stat(name); st.Mode() != 0o640 {
		t.Errorf("its mode is %v", st.Mode())
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, dir, filepath.Join(dir, "none", "a")} {
		if err := File(name, []byte("three"), 0); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if b, _ := os.ReadFile(name); string(b) != "two" {
		t.Errorf("through the link came %q", b)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("there are %v", list)
	}
}
