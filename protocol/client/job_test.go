package client

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

// notify is a script that says that it is ready. The socket is abstract.
const notify = `python3 -c 'import os,socket
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)
s.sendto(b"STATUS=here\nREADY=1","\0"+os.environ["NOTIFY_SOCKET"][1:])'; `

func TestReady(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, notify+"sleep 1000")
		cmd.Notify = []string{protocol.NotifyReady}
		if _, err := cmd.Ready(limit(t)); err != errNotStarted {
			t.Error(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r, err := cmd.Ready(limit(t)); err != nil || r.Status != "here" || r.Job != cmd.Job() {
				t.Errorf("%+v, %v", r, err)
			}
		}
		cmd.Kill()
		cmd.Wait()
		if _, err := cmd.Ready(limit(t)); err != nil {
			t.Errorf("it was ready: %v", err)
		}
		never := c.sh(t, "read x")
		in, err := never.StdinPipe()
		never.Notify = []string{protocol.NotifyReady}
		if err := errors.Join(err, never.Start()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(limit(t))
		cancel()
		if _, err := never.Ready(ctx); err != context.Canceled {
			t.Errorf("given up: %v", err)
		}
		in.Close()
		if _, err := never.Ready(limit(t)); err != ErrNotReady {
			t.Errorf("ended: %v", err)
		}
		never.Wait()
		deaf := c.Command("true")
		if err := deaf.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := deaf.Ready(limit(t)); err == nil || err == ErrNotReady {
			t.Errorf("not asked for: %v", err)
		}
		deaf.Wait()
	})
}

func TestPipeline(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.CommandContext(limit(t), "tr", "a-z", "A-Z")
		cmd.Env = []string{"PATH=/usr/bin:/bin", "X=1"}
		sh := Command("sh", "-c", "cat; pwd; echo $X")
		sh.Dir = "/"
		last := Command("sed", "s/$/./")
		last.Env = []string{"PATH=/usr/bin:/bin"}
		cmd.PipeTo = []*Cmd{sh, last}
		cmd.Stdin = strings.NewReader("text\n")
		if out, err := cmd.Output(); err != nil || string(out) != "TEXT.\n/.\n1.\n" {
			t.Errorf("%q, %v", out, err)
		}
		if all := cmd.Ended().Commands; len(all) != 3 || all[2].Exit == nil || *all[2].Exit.Code != 0 {
			t.Errorf("%+v", all)
		}
		fails := c.CommandContext(limit(t), "sh", "-c", "exit 3")
		fails.PipeTo = []*Cmd{Command("true")}
		if err := fails.Run(); err == nil || fails.ExitCode() != 3 {
			t.Errorf("pipefail: %v", err)
		}
		absent := c.Command("true")
		absent.PipeTo = []*Cmd{Command("no-such-command")}
		var refusal *protocol.Error
		if err := absent.Run(); !errors.As(err, &refusal) || refusal.Code != protocol.CodeNotFound || refusal.Data.Field != "pipeline[1].argv" {
			t.Errorf("absent: %v", err)
		}
		wrong := c.Command("true")
		wrong.PipeTo = []*Cmd{Command("true")}
		wrong.PipeTo[0].Limits = map[string]string{"memory-max": "1"}
		if err := wrong.Start(); err == nil || !strings.Contains(err.Error(), "Limits of a command in PipeTo") {
			t.Errorf("a limit of one: %v", err)
		}
	})
}

func TestKillWait(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"exec sleep 1000")
		if _, err := cmd.KillWait(limit(t)); err != errNotStarted {
			t.Error(err)
		}
		pid := firstLine(t, cmd)
		r, err := cmd.KillWait(limit(t))
		if err != nil || r.KilledTotal == nil || *r.KilledTotal < 2 || len(r.Killed) != *r.KilledTotal || r.Record == nil || r.Record.Cause != protocol.CauseKilled {
			t.Errorf("%+v, %v", r, err)
		}
		mustBeGone(t, pid)
		cmd.Wait()
		if _, err := cmd.KillWait(limit(t)); err == nil {
			t.Error("twice")
		}
		gentle := c.sh(t, "trap 'exit 5' TERM; echo $$; while :; do sleep 0.01; done")
		firstLine(t, gentle)
		if r, err := gentle.StopWait(limit(t), patience); err != nil || r.Record.Exit == nil || r.Record.Exit.Code == nil || *r.Record.Exit.Code != 5 || len(r.Killed) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		gentle.Wait()
	})
}

// TestNoSuchFeature: of an older supervisor nothing is asked that it would not understand.
func TestNoSuchFeature(t *testing.T) {
	_, c := converse(t, Options{}, lines(spawnTrue, spawned, startedNote, endedNote))
	refused := map[string]func() error{
		"ready": func() error {
			cmd := c.Command("true")
			cmd.Notify = []string{protocol.NotifyReady}
			return cmd.Start()
		},
		"pipeline": func() error { cmd := c.Command("true"); cmd.PipeTo = []*Cmd{Command("true")}; return cmd.Start() },
		"keep":     func() error { cmd := c.Command("true"); cmd.Stdout = &Kept{}; return cmd.Start() },
		"text":     func() error { cmd := c.Command("true"); cmd.Stdout = &Capture{Text: true}; return cmd.Start() },
		"pty":      func() error { cmd := c.Command("true"); cmd.Pty = &Pty{}; return cmd.Start() },
		"forget":   func() error { return c.Forget(t.Context(), 1) },
		"kept":     func() error { _, err := c.Kept(t.Context()); return err },
		"output":   func() error { _, err := c.Output(t.Context(), protocol.OutputParams{}); return err },
		"kill-wait": func() error {
			cmd := c.Command("true")
			if err := cmd.Start(); err != nil {
				return err
			}
			_, err := cmd.KillWait(t.Context())
			cmd.Wait()
			return err
		},
	}
	for name, do := range refused {
		if err := do(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "does not offer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
