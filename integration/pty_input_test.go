package integration

import (
	"crypto/sha256"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inputs are what comes by standard input, and what the job makes of it.
var ptyInputs = []struct{ name, input, script, want string }{
	{"nothing", "", "cat; echo over", "over\r\n"},
	{"lines", "a\nb\n", "cat; echo over", "a\r\nb\r\nover\r\n"},
	{"half a line", "a\nb", "cat; echo over", "a\r\nb" + "over\r\n"},
	{"two readers", "a\n", "cat; echo one; cat; echo two; cat </dev/tty; echo three", "a\r\none\r\ntwo\r\nthree\r\n"},
	{"nobody reads", "a\n", "echo over", "over\r\n"},
	{"a reader later", "a\nb\n", "read x <fifo; cat; echo over", "a\r\nb\r\nover\r\n"},
	{"another end", "a\n", `stty eof q; cat; echo over`, "a\r\nover\r\n"},
	{"flushed", "", `python3 -c 'import termios; termios.tcflush(0, termios.TCIFLUSH)'; cat; echo over`, "over\r\n"},
	{"keys", "", `stty raw; while c=$(dd bs=1 count=1 2>/dev/null | od -An -tx1); do [ "$c" = " 04" ] && exit; done`, ""},
	{"half a line of keys", "a", `stty raw; while c=$(dd bs=1 count=1 2>/dev/null | od -An -tx1); do [ "$c" = " 04" ] && exit; done`, ""},
}

// TestPTYInput: what comes by standard input is typed, and at its end whoever reads is at the end.
func TestPTYInput(t *testing.T) {
	for _, tt := range ptyInputs {
		t.Run(tt.name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				for _, from := range []string{"file", "pipe"} {
					b := newBox(t)
					if err := os.WriteFile(b.dir+"/input", []byte(tt.input), 0o644); err != nil {
						t.Fatal(err)
					}
					l := b.onPTY(c, nil, "sh", "-c", tt.script)
					l.dir = b.dir
					if l.stdin = b.file(b.dir + "/input"); from == "pipe" {
						l.stdin = nil
					}
					if err := unix.Mkfifo(b.dir+"/fifo", 0o600); err != nil {
						t.Fatal(err)
					}
					p := b.start(l)
					if from == "pipe" {
						p.stdin.WriteString(tt.input)
						p.closeStdin()
					}
					if strings.Contains(tt.script, "<fifo") {
						go func() { // ends when the job has opened it
							if f, err := os.OpenFile(b.dir+"/fifo", os.O_WRONLY, 0); err == nil {
								f.Close()
							}
						}()
					}
					o := p.wait()
					o.wantCode(0)
					if o.stdout != tt.want {
						t.Errorf("%s: %q, want %q", from, o.stdout, tt.want)
					}
				}
			})
		})
	}
}

// TestPTYInputKeys: a control character that comes by standard input does what the key does.
func TestPTYInputKeys(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.onPTY(c, nil, "sh", "-c", "echo ready; exec cat")
		l.stdin = nil
		p := b.start(l)
		if !p.stdout.waitUntil(func(text string) bool { return strings.Contains(text, "ready") }) {
			t.Fatalf("stderr %q", p.stderr)
		}
		p.stdin.WriteString(ctrlC)
		p.wait().wantCode(130)
	})
}

// TestPTYMuchInput: a job that reads slowly, or begins late, gets all of it.
func TestPTYMuchInput(t *testing.T) {
	want := text(1 << 20)
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		if err := os.WriteFile(b.dir+"/input", want, 0o644); err != nil {
			t.Fatal(err)
		}
		l := b.onPTY(c, nil, "sh", "-c", "dd bs=100 count=100 2>/dev/null; sleep 0.1; cat")
		l.stdin = b.file(b.dir + "/input")
		o := b.start(l).wait()
		o.wantCode(0)
		got := strings.ReplaceAll(o.stdout, "\r\n", "\n")
		if sha256.Sum256([]byte(got)) != sha256.Sum256(want) {
			t.Errorf("%d bytes, want %d", len(got), len(want))
		}
	})
}

// TestPTYInteractive: programs that behave otherwise on a terminal leave at the end of the input.
func TestPTYInteractive(t *testing.T) {
	for _, tt := range []struct {
		name, input, want string
		argv              []string
	}{
		{"python", "print(6*7)\n", "42\r\n", []string{"python3", "-i"}},
		{"bash", "echo $((6*7))\nsleep 0.1\n", "42\r\n", []string{"bash", "--norc", "-i"}},
		{"bash in bash", "bash --norc -i\necho $((6*7))\n", "42\r\n", []string{"bash", "--norc", "-i"}},
		{"sh", "echo $((6*7))\n", "42\r\n", []string{"sh", "-i"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				for _, input := range []string{tt.input, ""} {
					b := newBox(t)
					l := b.onPTY(c, nil, tt.argv...)
					l.stdin = nil
					p := b.start(l)
					p.stdin.WriteString(input)
					p.closeStdin()
					o := p.wait()
					o.wantCode(0)
					if strings.Contains(o.stdout, tt.want) != (input != "") {
						t.Errorf("input %q: %q", input, o.stdout)
					}
				}
			})
		})
	}
}
