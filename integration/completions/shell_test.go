package completions

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long a shell may take to answer.
const patience = time.Minute

// A shell is an interactive one on a terminal of its own, which supervise gives it. It is typed to, and answers by a FIFO.
type shell struct {
	t       *testing.T
	dir     string // its directory and its home; it has the file job.json, and the command tool
	env     []string
	typed   io.Writer
	screen  *bytes.Buffer
	fifo    *os.File
	answers *bufio.Reader
}

// complaint is what a shell writes to the terminal about an error in a function: "bash: x: command not found", "_x:7: ".
var complaint = regexp.MustCompile(`(bash: |[a-z_]+:[0-9]+: )[^\n]*`)

// newShell makes what a shell runs in.
func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{t: t, dir: t.TempDir(), screen: &bytes.Buffer{}}
	completions, err := filepath.Abs(testbed.Source("contrib", "completions"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("job.json", "{}\n")
	s.write("bin/tool", "#!/bin/sh\n")
	fifo := filepath.Join(s.dir, "answers")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// Open for both, so that no opening waits, and no end comes between two answers.
	if s.fifo, err = os.OpenFile(fifo, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.fifo.Close() })
	s.answers = bufio.NewReader(s.fifo)
	s.env = []string{
		"PATH=" + bin + ":" + filepath.Join(s.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "XDG_RUNTIME_DIR=" + os.Getenv("XDG_RUNTIME_DIR"),
		"CONTRIB=" + completions, "ANSWERS=" + fifo, "TERM=dumb", "LC_ALL=C.UTF-8", "PS1=> ",
	}
	return s
}

// write writes a file, and returns its path.
func (s *shell) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// start starts the shell, and returns when it has read its file. It ends with the test.
func (s *shell) start(argv ...string) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "supervise"), append([]string{"run", "--pty=24x200", "--timeout=10m", "--"}, argv...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, s.env, s.screen, s.screen
	typed, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.typed = typed
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGHUP) // as when its terminal is closed
		typed.Close()
		cmd.Wait()
		if told := complaint.Find(s.screen.Bytes()); told != nil {
			s.t.Errorf("it complains: %q", told)
		}
		if s.t.Failed() {
			s.t.Logf("the screen:\n%.4000q", s.screen)
		}
	})
	if answer := s.answer(); answer != "ready" {
		s.t.Fatalf("it says %q", answer)
	}
}

// typeIn types text.
func (s *shell) typeIn(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.typed, text); err != nil {
		s.t.Fatal(err)
	}
}

// answer is the next line that the shell writes to the FIFO.
func (s *shell) answer() string {
	s.t.Helper()
	s.fifo.SetReadDeadline(time.Now().Add(patience))
	line, err := s.answers.ReadString('\n')
	if err != nil {
		s.t.Fatalf("the shell does not answer: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}
