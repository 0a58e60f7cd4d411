package clienttest

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"github.com/seed-c1490a04/supervise/protocol"
)

// leftOut are the conversations that need more than functions.
var leftOut = map[string]string{
	"files":                              "there is no file system",
	"any bytes":                          "what is in them is tested by files and the shell",
	"environment, directory and program": "programs are not looked up in PATH, nor executed",
	"limits":                             "values of limits are not read, nor enforced",
	"samples":                            "nothing is measured",
	"cpu_timeout":                        "nothing is measured",
	"leftovers":                          "there is no process below a program",
	"descendants":                        "there is no process below a program",
}

// TestConformance: the server answers as supervise serve does.
func TestConformance(t *testing.T) {
	t.Setenv("SUPERVISE_TEST_SRC", cmp.Or(os.Getenv("SUPERVISE_TEST_SRC"), "../../.."))
	all, err := testbed.ReadScript()
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, containment := range []string{"cgroup", "subreaper"} {
		for _, steps := range all {
			name := steps[0].Conversation
			if only := steps[0].Only; only != "" && only != containment {
				continue
			}
			if leftOut[name] != "" {
				left++
				continue
			}
			t.Run(containment+"/"+name, func(t *testing.T) {
				s := scripted()
				s.Containment = protocol.Containment(containment)
				if err := testbed.Replay(peer(s), containment, steps); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	if want := 2*5 + 3; left != want { // of the latter three are for cgroups alone
		t.Errorf("%d are left out, want %d: see leftOut", left, want)
	}
}

// peer holds a conversation with a server.
func peer(s *Server) testbed.Peer {
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	ended := make(chan struct{})
	go func() { // ends with the conversation
		defer close(ended)
		s.Serve(&pipe{r: fromClient, w: toClient})
	}()
	lines := make(chan string, 1000) // so that it can say while it is told
	go func() {                      // ends with the output
		defer close(lines)
		for r := bufio.NewReader(fromServer); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return testbed.Peer{
		Say:   func(text string) { io.WriteString(toServer, text) },
		Close: func() { toServer.Close() },
		Wait:  func() int { <-ended; return 0 },
		Line: func() (string, error) {
			line, ok := <-lines
			if !ok {
				return "", io.EOF
			}
			return line, nil
		},
	}
}

// scripted is a server with programs that do what the commands of the script do.
func scripted() *Server {
	s := NewServer()
	s.Handle("sleep", Sleep)
	s.Handle("true", Script{}.Run)
	s.Handle("/bin/true", Script{}.Run)
	s.HandleCommand(Script{Stdout: "b\na\n"}.Run, "printf", `b\na\n`)
	s.Handle("perl", func(p *Process) Exit {
		p.Ready("going")
		io.Copy(io.Discard, p.Stdin)
		return 0
	})
	s.Handle("/bin/sh", func(p *Process) Exit { return status(slices.Contains(p.Env, "A=1") && slices.Contains(p.Env, "B=3")) })
	for command, program := range shell {
		s.HandleCommand(program, "sh", "-c", command)
	}
	return s
}

// a session of a program that reads and writes lines.
type session struct {
	*Process
	in  *bufio.Reader
	fd3 *bufio.Reader
}

// talk makes a Program of a function that reads lines.
func talk(f func(s session) Exit) Program {
	return func(p *Process) Exit {
		return f(session{p, bufio.NewReader(p.Stdin), bufio.NewReader(p.Descriptor(3))})
	}
}

// read is the shell's; false: there is no line.
func (s session) read() (string, bool) {
	line, err := s.in.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err == nil
}

func (s session) print(text string) { io.WriteString(s.Stdout, text) }

func (s session) printSize() {
	rows, cols := s.Size()
	fmt.Fprintf(s.Stdout, "%d %d\n", rows, cols)
}

// prints writes, and then runs for ever.
func prints(text string) Program { return Script{Stdout: text, Until: make(chan struct{})}.Run }

func exits(e Exit) Program { return Script{Exit: e}.Run }

func status(ok bool) Exit {
	if ok {
		return 0
	}
	return 1
}

// traps writes a line, and exits on a signal.
func traps(sig syscall.Signal, e Exit) Program {
	return func(p *Process) Exit {
		signals := p.Notify(sig)
		io.WriteString(p.Stdout, "\n")
		select {
		case <-signals:
		case <-p.Done():
		}
		return e
	}
}

// ignores writes a line, and runs for ever.
func ignores(p *Process) Exit {
	p.Ignore(syscall.SIGTERM)
	io.WriteString(p.Stdout, "\n")
	return Sleep(p)
}

// shell are the commands of the script by their text.
var shell = map[string]Program{
	"exit 3":                                   exits(3),
	"exit 4":                                   exits(4),
	"exit 5":                                   exits(5),
	"kill -TERM $$":                            exits(Signaled(syscall.SIGTERM)),
	"exec sleep 1000":                          Sleep,
	`test -z "$NOTIFY_SOCKET"`:                 exits(0),
	"printf hello; exec sleep 1000":            prints("hello"),
	"printf hello >&2; exec sleep 1000":        func(p *Process) Exit { p.Stderr.Write([]byte("hello")); return Sleep(p) },
	"printf hello >&5; exec sleep 1000":        func(p *Process) Exit { p.Descriptor(5).Write([]byte("hello")); return Sleep(p) },
	"printf 0123456789; exec sleep 1000":       prints("0123456789"),
	"printf 0123456789abcdef; exec sleep 1000": prints("0123456789abcdef"),
	"stty -echo -opost; printf 0123456789; exec sleep 1000":                prints("0123456789"),
	`stty -echo -opost; printf 'caf\303\251'; exec sleep 1000`:             prints("café"),
	"stty -echo -opost; stty size; exec sleep 1000":                        talk(func(s session) Exit { s.printSize(); return Sleep(s.Process) }),
	"trap 'exit 5' USR1; sleep 1000 & echo; wait":                          traps(syscall.SIGUSR1, 5),
	"trap 'exit 6' INT; echo; while :; do sleep 1; done":                   traps(syscall.SIGINT, 6),
	"trap 'exit 6' TERM; echo; while :; do sleep 1; done":                  traps(syscall.SIGTERM, 6),
	"trap '' TERM; echo; exec sleep 1000":                                  ignores,
	"trap '' TERM; while :; do sleep 1; done":                              ignores,
	"trap 'echo; read x; sleep 1000' HUP; echo; while :; do sleep 1; done": hups,
	"echo out; read x; echo err >&2; read x":                               talk(func(s session) Exit { s.read(); _, ok := s.read(); return status(ok) }),
	`read x; echo "got $x"; cat; read y <&3; exit $y`:                      cats,
	"stty -echo -opost; stty size; read x; test -t 0 && test -t 1 && test -t 2 && echo \"$x\" >/dev/tty; read x; stty size >&2; read x || exit 6": terminal,
	"printf 0123456789; read x; printf abc; read x; exit 3": talk(func(s session) Exit {
		s.print("0123456789")
		s.read()
		s.print("abc")
		s.read()
		return 3
	}),
	`printf 'caf\303'; read x; printf '\251 '; read x; printf '\377'; read x; printf 'x\342\202'; read x`: talk(func(s session) Exit {
		for _, text := range []string{"caf\303", "\251 ", "\377", "x\342\202"} {
			s.print(text)
			s.read()
		}
		return 1
	}),
	`printf '\303\251\303\251'; printf '\377' >&2; read x`: Script{Stdout: "éé", Stderr: "\377", Until: make(chan struct{})}.Run,
	"sort; read x <&3; exit 3": talk(func(s session) Exit {
		text, _ := io.ReadAll(s.in)
		lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
		slices.Sort(lines)
		s.print(strings.TrimSuffix(strings.Join([]string{lines[0], lines[1]}, "\n"), "\n") + "\n")
		s.fd3.ReadString('\n')
		return 3
	}),
	`test $PWD = / && test "$A$B" = 12`: func(p *Process) Exit { return status(p.Dir == "/" && slices.Contains(p.Env, "B=2")) },
	`test "${A-unset}" = unset`:         func(p *Process) Exit { return status(!slices.Contains(p.Env, "A=1")) },
}

func hups(p *Process) Exit {
	signals := p.Notify(syscall.SIGHUP)
	io.WriteString(p.Stdout, "\n")
	select {
	case <-signals:
		io.WriteString(p.Stdout, "\n")
	case <-p.Done():
	}
	return Sleep(p)
}

var cats = talk(func(s session) Exit {
	x, _ := s.read()
	s.print("got " + x + "\n")
	io.Copy(s.Stdout, s.in)
	y, _ := s.fd3.ReadString('\n')
	return Exit(bytes.IndexByte([]byte("0123456789"), y[0]))
})

var terminal = talk(func(s session) Exit {
	s.printSize()
	x, _ := s.read()
	s.print(x + "\n")
	s.read()
	s.printSize()
	if _, ok := s.read(); !ok {
		return 6
	}
	return 0
})
